import type { Hyperparameters, MethodKind } from "../../schema/hyperparameters.ts";

declare global {
  /** Default settings of each method, inserted by vite.config.ts. */
  const hyperparameterDefaults: Readonly<Record<MethodKind, Hyperparameters>>;
}
