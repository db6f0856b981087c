/** Jobs that rebuild the weights of a checkpoint from the base model and the log, for download. */
import { invariant } from "../../schema/errors.ts";
import { encodeStepLog } from "../../schema/step-log.ts";
import { modelPaths, readRun, storeFiles } from "./inputs.ts";
import type { JobContext, JobHandler, RunningJob } from "./job.ts";

export const materialiseHandler: JobHandler = {
  start,
  async fail(store, job, { code, message }) {
    await store.finishMaterialise(job, { error: `${code}: ${message}` });
  },
};

async function start(context: JobContext): Promise<RunningJob> {
  const { store, job, weightsDir } = context;
  const checkpoint = await store.checkpoints.get(job.subject);
  invariant(checkpoint, `the job's checkpoint ${job.subject} exists`);
  const { baseModel } = await readRun(store, checkpoint.fineTuneId);
  const log = await store.fineTunes.logPrefix(checkpoint.fineTuneId, checkpoint.entries);
  invariant(log, `the run of checkpoint ${checkpoint.id} has a log`);
  return {
    request: {
      kind: "MATERIALISE",
      ...modelPaths(context, baseModel),
      log: encodeStepLog(log),
      digest: checkpoint.weightsDigest,
      weightsDir,
    },
    async take(message) {
      if (message.type === "stopped") return store.releaseJob(job);
      invariant(message.type === "materialised", `a rebuild sends no ${message.type}`);
      await store.finishMaterialise(job, { weightsFiles: await storeFiles(store, message.files) });
    },
    close() {},
  };
}
