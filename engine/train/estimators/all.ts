/** Every estimator, by its name in the settings. */
import type { EstimatorKind } from "../../../schema/hyperparameters.ts";
import type { Estimator } from "./estimator.ts";
import { fzoo } from "./fzoo.ts";
import { oneSided } from "./one-sided.ts";
import { spsa } from "./spsa.ts";

const estimators: Readonly<Record<EstimatorKind, Estimator>> = { SPSA: spsa, ONE_SIDED: oneSided, FZOO: fzoo };

export function estimatorOf({ estimator = "SPSA" }: { readonly estimator?: EstimatorKind | undefined }): Estimator {
  return estimators[estimator];
}
