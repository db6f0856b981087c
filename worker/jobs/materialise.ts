/** Jobs that rebuild the weights of a checkpoint from the base model and the log, for download: as trained, or in another form. */
import { invariant } from "../../schema/errors.ts";
import { encodeStepLog } from "../../schema/step-log.ts";
import type { WeightsFile } from "../../schema/tables.ts";
import type { WeightsForm } from "../../schema/weights-form.ts";
import { exportOfJob } from "../../store/store.ts";
import { readBase, readRun, storeFiles } from "./inputs.ts";
import type { JobContext, JobHandler, RunningJob } from "./job.ts";

export const materialiseHandler: JobHandler = {
  start(context) {
    const { store, job } = context;
    const form = { merged: false, dtype: null };
    return rebuild(context, job.subject, form, (weightsFiles) => store.finishMaterialise(job, { weightsFiles }));
  },
  async fail(store, job, { code, message }) {
    await store.finishMaterialise(job, { error: `${code}: ${message}` });
  },
};

export const exportHandler: JobHandler = {
  start(context) {
    const { store, job } = context;
    const { checkpointId, form } = exportOfJob(job.subject);
    return rebuild(context, checkpointId, form, (files) => store.finishExport(job, { files }));
  },
  async fail(store, job, { code, message }) {
    await store.finishExport(job, { error: `${code}: ${message}` });
  },
};

async function rebuild(
  context: JobContext,
  checkpointId: string,
  form: WeightsForm,
  finish: (files: readonly WeightsFile[]) => Promise<void>,
): Promise<RunningJob> {
  const { store, job, weightsDir } = context;
  const checkpoint = await store.checkpoints.get(checkpointId);
  invariant(checkpoint, `the job's checkpoint ${checkpointId} exists`);
  const baseModel = await readBase(store, await readRun(store, checkpoint.fineTuneId));
  const log = await store.fineTunes.logPrefix(checkpoint.fineTuneId, checkpoint.entries);
  invariant(log, `the run of checkpoint ${checkpoint.id} has a log`);
  return {
    request: {
      kind: "MATERIALISE",
      ...(await context.baseOf(baseModel)),
      log: encodeStepLog(log),
      digest: checkpoint.weightsDigest,
      form,
      weightsDir,
    },
    async take(message) {
      if (message.type === "stopped") return store.releaseJob(job);
      invariant(message.type === "materialised", `a rebuild sends no ${message.type}`);
      await finish(await storeFiles(context, message.files));
    },
    close() {},
  };
}
