/** Jobs that measure how fast this worker would train a run that does not exist. They give way to every other job. */
import { invariant } from "../../schema/errors.ts";
import { measurementSchema } from "../../schema/estimate.ts";
import type { JobContext, JobHandler, RunningJob } from "./job.ts";

export const measureHandler: JobHandler = {
  start,
  fail: (store, job) => store.speeds.finish(job, null),
};

async function start(context: JobContext): Promise<RunningJob> {
  const startedAt = process.hrtime.bigint();
  const { store, job, pathOf } = context;
  const asked = measurementSchema.parse(job.payload);
  const baseModel = await store.baseModels.get(asked.baseModelId);
  invariant(baseModel, `the base model of measurement ${job.id} exists`);
  const { modelPath, hashesDir } = await context.baseOf(baseModel);
  return {
    request: {
      kind: "MEASURE",
      modelPath,
      startedAt,
      run: {
        kind: "FINE_TUNE",
        modelPath,
        hashesDir,
        base: baseModel.hash,
        datasetPath: await pathOf(asked.training),
        validationPath: asked.validation && (await pathOf(asked.validation)),
        testPath: asked.test && (await pathOf(asked.test)),
        labelWords: asked.labelWords,
        calibrationPrompt: asked.calibrationPrompt,
        hyperparameters: asked.hyperparameters,
        fork: null,
        entries: { seed: asked.hyperparameters.seed, scalars: new Uint8Array(), decays: null },
        stepsDone: 0,
        evaluated: [],
        losses: new Float64Array(),
        pickedRate: null,
        weightsDir: null,
      },
    },
    async take(message) {
      // Steps come as those of a run do, so that passing them on is measured too.
      if (message.type === "step") return;
      await store.speeds.finish(job, message.type === "measured" ? message.speeds : null);
    },
    close() {},
  };
}
