/** The kinds of jobs that this worker serves. A new kind is a module beside this one, a line here and one in schema/jobs.ts. */
import { invariant } from "../../schema/errors.ts";
import type { JobKind, SoleJobKind } from "../../schema/jobs.ts";
import { evaluateHandler } from "./evaluate.ts";
import { fineTuneHandler } from "./fine-tune.ts";
import type { JobHandler } from "./job.ts";
import { exportHandler, materialiseHandler } from "./materialise.ts";
import { measureHandler } from "./measure.ts";

const jobHandlers: Readonly<Record<SoleJobKind, JobHandler>> = {
  FINE_TUNE: fineTuneHandler,
  MATERIALISE: materialiseHandler,
  EXPORT: exportHandler,
  MEASURE: measureHandler,
  EVALUATE: evaluateHandler,
};

/** Of a job that was claimed as one of soleJobKinds. */
export function handlerOf(kind: JobKind): JobHandler {
  invariant(kind !== "COMPLETE", "a claim of sole jobs gave a completion");
  return jobHandlers[kind];
}
