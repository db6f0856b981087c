/** The header of a new run's log: what a rebuild needs, and the hyperparameters for people to read. */
import { valueOfAbsence } from "../../schema/hyperparameter-defaults.ts";
import { hyperparameterEntries } from "../../schema/hyperparameter-table.ts";
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
  return {
    format: 1,
    base,
    trainable: [...model.trainable],
    noise: settings.noise,
    ...adapter,
    seed: settings.seed,
    hyperparameters: inHeader(settings),
  };
}

/** The table says which settings belong here; some are left out where that says the same. */
function inHeader(settings: MezoSettings): Record<string, string | number> {
  const values: Readonly<Record<string, unknown>> = { ...settings };
  const named = hyperparameterEntries.flatMap(([name, one]) => {
    const value = values[name];
    const wanted = one.inLogHeader === "always" || (one.inLogHeader === "changed" && value !== valueOfAbsence(one));
    return wanted && (typeof value === "string" || typeof value === "number") ? [[name, value] as const] : [];
  });
  return Object.fromEntries(named);
}
