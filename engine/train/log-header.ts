/** The header of a new run's log: what a rebuild needs, and the hyperparameters for people to read. */
import type { StepLogHeader } from "../../schema/step-log.ts";
import type { AdapterHeader } from "../model/adapters/adapter.ts";
import type { Model } from "../model/model.ts";
import type { MezoSettings } from "./settings.ts";

/** `adapter` says how an adapter started, if one is trained. */
export function logHeader(
  base: string,
  model: Model,
  settings: MezoSettings,
  adapter: AdapterHeader = {},
): StepLogHeader {
  const { steps, batchSize, learningRate, epsilon, weightDecay } = settings;
  return {
    format: 1,
    base,
    trainable: [...model.trainable],
    noise: settings.noise,
    ...adapter,
    seed: settings.seed,
    hyperparameters: { steps, batchSize, learningRate, epsilon, weightDecay, ...changed(settings) },
  };
}

/** The defaults of settings that came after the first release; at their default the header leaves them out. */
const laterDefaults = {
  schedule: "CONSTANT",
  warmupSteps: 0,
  clipGradient: 0,
  accumulate: 1,
  estimator: "SPSA",
  estimates: 1,
  estimatesAtEnd: 0,
} as const satisfies Partial<MezoSettings>;

function changed(settings: MezoSettings): Record<string, string | number> {
  const names = Object.keys(laterDefaults) as (keyof typeof laterDefaults)[];
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = settings[name];
      return value === undefined || value === laterDefaults[name] ? [] : [[name, value]];
    }),
  );
}
