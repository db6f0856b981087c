/** The kinds of jobs that this worker serves. A new kind is a module beside this one, a line here and one in schema/jobs.ts. */
import type { JobKind } from "../../schema/jobs.ts";
import { fineTuneHandler } from "./fine-tune.ts";
import type { JobHandler } from "./job.ts";
import { materialiseHandler } from "./materialise.ts";
import { measureHandler } from "./measure.ts";

export const jobHandlers: Readonly<Record<JobKind, JobHandler>> = {
  FINE_TUNE: fineTuneHandler,
  MATERIALISE: materialiseHandler,
  MEASURE: measureHandler,
};
