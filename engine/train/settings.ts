/** The hyperparameters that MeZO reads, in the engine's words. */
import type { Hyperparameters } from "../../schema/hyperparameters.ts";
import type { Noise } from "../numbers/noise.ts";

/** Optional settings are MeZO's own if absent, as in a log's header. */
export type MezoSettings = Pick<Hyperparameters, "steps" | "batchSize" | "epsilon" | "weightDecay" | "seed"> &
  Partial<
    Pick<
      Hyperparameters,
      "schedule" | "warmupSteps" | "clipGradient" | "accumulate" | "estimator" | "estimates" | "estimatesAtEnd"
    >
  > & {
    readonly noise: Noise;
    readonly learningRate: number;
    /** Seed of the noise when it is not `seed`: a fork continues the noise of its log, and draws rows by its own seed. */
    readonly logSeed?: number;
    /** Steps of earlier runs whose rows this one continues after; default 0. */
    readonly firstStep?: number;
  };
