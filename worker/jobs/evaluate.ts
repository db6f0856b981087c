/** Jobs that evaluate a base or a checkpoint on a dataset. */
import { invariant } from "../../schema/errors.ts";
import { leaseMs } from "../../schema/limits.ts";
import { encodeStepLog } from "../../schema/step-log.ts";
import { type Store, rulesOf } from "../../store/store.ts";
import type { JobContext, JobHandler, RunningJob } from "./job.ts";

export const evaluateHandler: JobHandler = {
  start,
  async fail(store, job, { code, message, issues }) {
    await store.finishEvaluation(job, { status: "FAILED", code, message, issues });
  },
};

async function start(context: JobContext): Promise<RunningJob> {
  const { store, job, pathOf } = context;
  const evaluation = await store.evaluations.get(job.subject);
  invariant(evaluation, `the job's evaluation ${job.subject} exists`);
  const { baseModelId, checkpointId, datasetId, labelWords, calibrationPrompt } = evaluation;
  const [baseModel, dataset] = [await store.baseModels.get(baseModelId), await store.datasets.get(datasetId)];
  invariant(baseModel && dataset, `evaluation ${evaluation.id} has its base model and its dataset`);
  return {
    request: {
      kind: "EVALUATE",
      ...(await context.baseOf(baseModel)),
      base: baseModel.hash,
      checkpoint: checkpointId === null ? null : await checkpointOf(store, checkpointId),
      datasetPath: await pathOf(dataset.sha256),
      labelWords,
      calibrationPrompt,
      settings: rulesOf(evaluation),
    },
    async take(message) {
      if (message.type === "generated") return store.countGenerated(job, message.tokens);
      if (message.type === "stopped") return endStopped(context);
      invariant(message.type === "evaluated", `an evaluation sends no ${message.type}`);
      const { measured, rows } = message;
      await store.finishEvaluation(job, { status: "SUCCEEDED", measured, rows });
    },
    close() {},
  };
}

async function checkpointOf(store: Store, id: string) {
  const checkpoint = await store.checkpoints.get(id);
  invariant(checkpoint, `the evaluation's checkpoint ${id} exists`);
  const log = await store.fineTunes.logPrefix(checkpoint.fineTuneId, checkpoint.entries);
  invariant(log, `the run of checkpoint ${id} has a log`);
  return { log: encodeStepLog(log), digest: checkpoint.weightsDigest };
}

/** Because of a cancel, which ends the evaluation, or because this worker stops. */
async function endStopped({ store, job }: JobContext): Promise<void> {
  const { wanted } = await store.renewLease(job, leaseMs);
  if (wanted === "CANCEL") await store.finishEvaluation(job, { status: "CANCELLED" });
  else await store.releaseJob(job);
}
