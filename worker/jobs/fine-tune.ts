/** Jobs that train a run: from where its log ends to its last step, or until it is cancelled or paused, or the worker stops. */
import type { FineTuneRequest } from "../../engine/thread/messages.ts";
import { invariant } from "../../schema/errors.ts";
import { withoutFolders } from "../../schema/folders-in-messages.ts";
import { settingsOf } from "../../schema/hyperparameters.ts";
import { leaseMs } from "../../schema/limits.ts";
import { decodeHeader } from "../../schema/step-log.ts";
import type { FineTune } from "../../schema/tables.ts";
import type { Store } from "../../store/store.ts";
import { readBase, readRun, storeFiles } from "./inputs.ts";
import type { JobContext, JobHandler, JobMessage, RunningJob } from "./job.ts";
import { type Diverged, finish, toldDivergence } from "./outcome.ts";
import { StepRecorder } from "./step-recorder.ts";

export const fineTuneHandler: JobHandler = {
  start,
  async fail(store, job, { code, message, issues }) {
    await store.finishFineTune(job, { status: "FAILED", code, message, issues });
  },
};

async function start(context: JobContext): Promise<RunningJob> {
  const { store, job, stop } = context;
  const run = await readRun(store, job.subject);
  const request = await requestFor(context, run);
  const recorder = new StepRecorder(store, job, run, stop);
  let diverged: Diverged | null = null;
  return {
    request,
    async take(message) {
      if (message.type === "step") return recorder.add(message);
      await recorder.flush();
      if (message.type === "diverged") diverged = await toldDivergence(context, message.divergence);
      else if (message.type === "done") await finish(context, diverged, message.overfit);
      else await record(context, recorder, message);
    },
    close: () => recorder.abandon(),
  };
}

async function requestFor(context: JobContext, run: FineTune): Promise<FineTuneRequest> {
  const { store, weightsDir } = context;
  const { fineTunes } = store;
  const [base, paths, digest, log, losses, trainedSeconds, evaluated] = await Promise.all([
    readBase(store, run).then(async (model) => ({ ...(await context.baseOf(model)), base: model.hash })),
    datasetPaths(context, run),
    context.kept ? digestAtEnd(store, run) : null,
    run.logHeader && fineTunes.log(run.id),
    run.stepsDone > 0 ? fineTunes.losses(run.id) : new Float64Array(),
    fineTunes.trainedSeconds(run.id),
    fineTunes.evaluations(run.id),
  ]);
  const { seed } = log ? decodeHeader(log.headerBytes) : run.hyperparameters;
  const { scalars, decays } = log ?? { scalars: new Uint8Array(), decays: null };
  return {
    kind: "FINE_TUNE",
    ...base,
    ...paths,
    labelWords: run.labelWords,
    calibrationPrompt: run.calibrationPrompt,
    // A setting that the release that stored the run did not know has its default.
    hyperparameters: settingsOf(run),
    fork: log && run.fromCheckpointId !== null ? { headerBytes: log.headerBytes, firstStep: run.firstStep } : null,
    entries: { seed, scalars, decays },
    stepsDone: run.stepsDone,
    losses,
    trainedSeconds,
    evaluated,
    pickedRate: run.pickedRate,
    weightsDir: run.keepWeights ? weightsDir : null,
    kept: context.kept ? { ...context.kept, run: run.id, digest } : null,
  };
}

/** Of the weights where the log ends, if it has a checkpoint there. */
async function digestAtEnd(store: Store, run: FineTune): Promise<string | null> {
  const last = await store.checkpoints.lastUpTo(run.id, run.stepsDone);
  return last?.entries === run.entries ? last.weightsDigest : null;
}

async function datasetPaths({ store, pathOf }: JobContext, run: FineTune) {
  const pathOfId = async (id: string) => {
    const dataset = await store.datasets.get(id);
    invariant(dataset, `fine-tune ${run.id} has its dataset ${id}`);
    return pathOf(dataset.sha256);
  };
  return {
    datasetPath: await pathOfId(run.datasetId),
    validationPath: run.validationDatasetId === null ? null : await pathOfId(run.validationDatasetId),
    testPath: run.testDatasetId === null ? null : await pathOfId(run.testDatasetId),
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
    case "memory":
      await store.recordMemory(job, message);
      break;
    case "checkpoint":
      await recordCheckpoint(context, recorder, message);
      break;
    case "kept":
      if (message.problem === null) break;
      await store.recordEvent(job, {
        type: "WEIGHTS_NOT_KEPT",
        message: `Its log will be replayed. ${withoutFolders(message.problem)}`,
      });
      break;
    case "stopped":
      await endStopped(context);
      break;
    case "materialised":
    case "measured":
    case "generated":
    case "evaluated":
      invariant(false, "training rebuilds and measures nothing");
  }
}

async function recordCheckpoint(
  context: JobContext,
  recorder: StepRecorder,
  { entries, step, digest: weightsDigest, files, seconds }: JobMessage & { type: "checkpoint" },
): Promise<void> {
  const { store, job } = context;
  invariant(entries === recorder.entries, "a checkpoint is at the end of the acknowledged log");
  const weightsFiles = await storeFiles(context, files);
  await store.recordCheckpoint(job, { entries, step, chain: recorder.chain, weightsDigest, weightsFiles, seconds });
}

/**
 * Stopped before the last step: because of a cancel, which ends the run, or because of a pause, this worker's end or
 * another's turn, which release it.
 */
async function endStopped({ store, job }: JobContext): Promise<void> {
  const { wanted } = await store.renewLease(job, leaseMs);
  if (wanted === "CANCEL") await store.finishFineTune(job, { status: "CANCELLED" });
  else await store.releaseJob(job);
}
