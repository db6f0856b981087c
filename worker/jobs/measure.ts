/** Jobs that measure how fast this worker would train a run that does not exist. They give way to every other job. */
import { invariant } from "../../schema/errors.ts";
import { measurementSchema } from "../../schema/estimate.ts";
import type { Store } from "../../store/store.ts";
import type { JobContext, JobHandler, RunningJob } from "./job.ts";
import { StepRecorder } from "./step-recorder.ts";

export const measureHandler: JobHandler = {
  start,
  fail: (store, job) => store.speeds.finish(job, null),
};

async function start(context: JobContext): Promise<RunningJob> {
  const startedAt = process.hrtime.bigint();
  const { store, job, pathOf, stop } = context;
  const recorder = new StepRecorder(rehearsing(store), job, { entries: 0, chain: null }, stop);
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
      if (message.type === "step") return recorder.add(message);
      if (message.type === "began") return recorder.begin(message.headerBytes, context.deviceNote, null);
      await recorder.flush();
      await store.speeds.finish(job, message.type === "measured" ? message.speeds : null);
    },
    close: () => recorder.abandon(),
  };
}

/** Steps come as those of a run do, and are stored as these: what that takes belongs to a step. Nothing of them stays. */
function rehearsing(store: Store): Pick<Store, "beginLog" | "appendSteps"> {
  return {
    beginLog: () => Promise.resolve(),
    async appendSteps(job, batch) {
      await store.speeds.rehearse(job, batch);
      return { wanted: "RUN" };
    },
  };
}
