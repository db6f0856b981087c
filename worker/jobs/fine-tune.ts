/** Jobs that train a run: from where its log ends to its last step, or until it is cancelled or the worker stops. */
import type { FineTuneRequest } from "../../engine/thread/messages.ts";
import type { Divergence, Fall } from "../../engine/train/divergence.ts";
import { invariant } from "../../schema/errors.ts";
import type { Hyperparameters } from "../../schema/hyperparameters.ts";
import { hyperparametersSchema } from "../../schema/hyperparameters.ts";
import { leaseMs } from "../../schema/limits.ts";
import { decodeHeader } from "../../schema/step-log.ts";
import type { BaseModel, FineTune } from "../../schema/tables.ts";
import { divergedMessage, overfittedMessage } from "./divergence.ts";
import { modelPaths, readRun, storeFiles } from "./inputs.ts";
import type { RunNote } from "../../store/store.ts";
import type { JobContext, JobHandler, JobMessage, RunningJob } from "./job.ts";
import { hardlyMoved, stepsCompared } from "./learning.ts";
import { StepRecorder } from "./step-recorder.ts";

export const fineTuneHandler: JobHandler = {
  start,
  async fail(store, job, { code, message, issues }) {
    await store.finishFineTune(job, { status: "FAILED", code, message, issues });
  },
};

async function start(context: JobContext): Promise<RunningJob> {
  const { store, job, stop } = context;
  const { run, baseModel } = await readRun(store, job.subject);
  const request = await requestFor(context, run, baseModel);
  const recorder = new StepRecorder(store, job, run, stop);
  let diverged: string | null = null;
  return {
    request,
    async take(message) {
      if (message.type === "step") return recorder.add(message);
      await recorder.flush();
      if (message.type === "diverged") diverged = await recordDivergence(context, message.divergence);
      else if (message.type === "done") await finish(context, diverged, message.overfit);
      else await record(context, recorder, message);
    },
    close: () => recorder.abandon(),
  };
}

async function requestFor(context: JobContext, run: FineTune, baseModel: BaseModel): Promise<FineTuneRequest> {
  const { store, weightsDir } = context;
  const log = await store.fineTunes.log(run.id);
  const { seed } = log ? decodeHeader(log.headerBytes) : run.hyperparameters;
  const { scalars, decays } = log ?? { scalars: new Uint8Array(), decays: null };
  return {
    kind: "FINE_TUNE",
    ...modelPaths(context, baseModel),
    base: baseModel.hash,
    ...(await datasetPaths(context, run)),
    labelWords: run.labelWords,
    calibrationPrompt: run.calibrationPrompt,
    // A setting that the release that stored the run did not know has its default.
    hyperparameters: hyperparametersSchema.parse(run.hyperparameters),
    fork: log && run.fromCheckpointId !== null ? { headerBytes: log.headerBytes, firstStep: run.firstStep } : null,
    entries: { seed, scalars, decays },
    stepsDone: run.stepsDone,
    losses: await store.fineTunes.losses(run.id),
    evaluated: await store.fineTunes.evaluations(run.id),
    pickedRate: run.pickedRate,
    weightsDir: run.keepWeights ? weightsDir : null,
  };
}

async function datasetPaths({ store }: JobContext, run: FineTune) {
  const pathOf = async (id: string) => {
    const dataset = await store.datasets.get(id);
    invariant(dataset, `fine-tune ${run.id} has its dataset ${id}`);
    return store.blobs.path(dataset.sha256);
  };
  return {
    datasetPath: await pathOf(run.datasetId),
    validationPath: run.validationDatasetId === null ? null : await pathOf(run.validationDatasetId),
    testPath: run.testDatasetId === null ? null : await pathOf(run.testDatasetId),
  };
}

type Recorded = Exclude<JobMessage, { readonly type: "step" | "diverged" | "done" }>;

/** Records what is not a step and does not tell how the run went, after the steps before it are acknowledged. */
async function record(context: JobContext, recorder: StepRecorder, message: Recorded): Promise<void> {
  const { store, job, deviceNote } = context;
  switch (message.type) {
    case "began":
      await recorder.begin(message.headerBytes, deviceNote, message.pickedRate);
      break;
    case "note":
      await store.recordEvent(job, { type: message.event, message: message.message });
      break;
    case "evaluation":
      await store.recordEvaluation(job, message);
      break;
    case "checkpoint":
      await recordCheckpoint(context, recorder, message);
      break;
    case "stopped":
      await endStopped(context);
      break;
    case "materialised":
    case "measured":
      invariant(false, "training rebuilds and measures nothing");
  }
}

/** Returns what to say of it. A run that goes on says it now, once. */
async function recordDivergence({ store, job }: JobContext, divergence: Divergence): Promise<string> {
  const { run } = await readRun(store, job.subject);
  const { learningRate, whenDiverged } = hyperparametersSchema.parse(run.hyperparameters);
  const rate = learningRate === "AUTO" ? run.pickedRate : learningRate;
  invariant(rate !== null, "a run that has begun has a learning rate");
  const from = await store.checkpoints.lastUpTo(run.id, divergence.evaluation?.step ?? divergence.best.lastStep);
  const message = divergedMessage(divergence, rate, from?.step ?? 0);
  if (whenDiverged === "GO_ON") await store.recordEvent(job, { type: "DIVERGED", message, once: true });
  return message;
}

/** @param diverged what to say if the run has diverged */
async function finish(context: JobContext, diverged: string | null, overfit: Fall | null): Promise<void> {
  const { store, job } = context;
  const { run } = await readRun(store, job.subject);
  const settings = hyperparametersSchema.parse(run.hyperparameters);
  if (diverged !== null && settings.whenDiverged !== "GO_ON") {
    await store.finishFineTune(job, { status: "FAILED", code: "DIVERGED", message: diverged, issues: [] });
  } else {
    const notes = diverged === null ? await notesOf(context, overfit, settings) : [];
    await store.finishFineTune(job, { status: "SUCCEEDED", notes, diverged: diverged !== null });
  }
}

/** What to say of the whole run at its end. Its first steps may be another worker's, so all is read from the store. */
async function notesOf(
  { store, job }: JobContext,
  overfit: Fall | null,
  settings: Hyperparameters,
): Promise<RunNote[]> {
  if (overfit) return [{ type: "OVERFITTED", message: overfittedMessage(overfit, settings) }];
  const { fineTunes } = store;
  const { run } = await readRun(store, job.subject);
  const limit = stepsCompared(run.stepsDone);
  const lossesAfter = async (afterStep: number) =>
    (await fineTunes.metrics(run.id, { afterStep, limit })).map(({ loss }) => loss);
  const [firstLosses, lastLosses] = [await lossesAfter(0), await lossesAfter(run.stepsDone - limit)];
  const validations = (await fineTunes.evaluations(run.id)).filter(({ kind }) => kind === "VALIDATION");
  const message = hardlyMoved({ firstLosses, lastLosses, validations }, settings);
  return message === null ? [] : [{ type: "HARDLY_MOVED", message }];
}

async function recordCheckpoint(
  { store, job }: JobContext,
  recorder: StepRecorder,
  { entries, step, digest: weightsDigest, files }: JobMessage & { type: "checkpoint" },
): Promise<void> {
  invariant(entries === recorder.entries, "a checkpoint is at the end of the acknowledged log");
  const weightsFiles = await storeFiles(store, files);
  await store.recordCheckpoint(job, { entries, step, chain: recorder.chain, weightsDigest, weightsFiles });
}

/** Stopped before the last step: because of a cancel, which ends the run, or because this worker stops. */
async function endStopped({ store, job }: JobContext): Promise<void> {
  const { wanted } = await store.renewLease(job, leaseMs);
  if (wanted === "CANCEL") await store.finishFineTune(job, { status: "CANCELLED" });
  else await store.releaseJob(job);
}
