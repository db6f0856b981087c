/** Claims as a worker that can do everything and has every registered model. */
import { hyperparameterTable } from "../../schema/hyperparameter-table.ts";
import type { PrecisionKind } from "../../schema/hyperparameters.ts";
import { type Capabilities, jobKinds } from "../../schema/jobs.ts";
import type { ClaimedJob, Store } from "../../store/store.ts";

const precisions = Object.keys(hyperparameterTable.precision.values) as PrecisionKind[];

export async function everything(store: Store): Promise<Capabilities> {
  const models = await store.baseModels.list({ limit: 100 });
  const families = [...new Set(models.map(({ family }) => family))];
  return { kinds: jobKinds, families, precisions, memoryBytes: Number.MAX_SAFE_INTEGER, models: models.map(named) };
}

const named = ({ name, hash }: { name: string; hash: string }) => ({ name, hash });

export async function claimAny(store: Store, worker = "w", leaseMs = 60_000): Promise<ClaimedJob | null> {
  return store.claimJob({ worker, leaseMs, capabilities: await everything(store) });
}
