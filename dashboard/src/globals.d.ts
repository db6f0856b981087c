import type { Hyperparameters } from "../../schema/hyperparameters.ts";

declare global {
  /** Default settings, put in by vite.config.ts. */
  const hyperparameterDefaults: Hyperparameters;
}
