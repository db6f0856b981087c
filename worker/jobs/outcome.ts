/** How a run that a worker has trained to its end, or that has diverged, ends: its status, and what is said of it. */
import type { Divergence, Fall } from "../../engine/train/divergence.ts";
import { invariant } from "../../schema/errors.ts";
import { type Hyperparameters, settingsOf, warmupAfter } from "../../schema/hyperparameters.ts";
import { rateAdvice, slowerRate } from "../../schema/rate-advice.ts";
import type { Checkpoint, FineTune } from "../../schema/tables.ts";
import type { GoBack, RunNote, Store } from "../../store/store.ts";
import { divergedMessage, overfittedMessage } from "./divergence.ts";
import { readRun } from "./inputs.ts";
import type { JobContext } from "./job.ts";
import { hardlyMoved, stepsCompared } from "./learning.ts";

type Place = Omit<GoBack, "otherwise">;

/** What to say of a run that has diverged: what was seen, and what to do. */
export interface Diverged {
  readonly seen: string;
  readonly advice: string;
  /** Where it could go back to. */
  readonly goBack: Place;
}

/** A run that goes on says it now, once. */
export async function toldDivergence(context: JobContext, divergence: Divergence): Promise<Diverged> {
  const { store, job } = context;
  const run = await readRun(store, job.subject);
  const settings = settingsOf(run);
  const rate = settings.learningRate === "AUTO" ? run.pickedRate : settings.learningRate;
  invariant(rate !== null, "a run that has begun has a learning rate");
  const checkpoint = await store.checkpoints.lastUpTo(run.id, divergence.evaluation?.step ?? divergence.best.lastStep);
  const [seen, advice] = [divergedMessage(divergence), rateAdvice(rate, checkpoint?.step ?? 0)];
  if (settings.whenDiverged === "GO_ON") {
    await store.recordEvent(job, { type: "DIVERGED", message: `${seen} ${advice}`, once: true });
  }
  const left = { ...settings, maxSeconds: await secondsLeft(context, run, settings) };
  return { seen, advice, goBack: backTo(checkpoint, run, left, slowerRate("DIVERGED", rate).rate) };
}

/** The run that goes back has the time that this one leaves of its maxSeconds; 0 sets no limit. */
async function secondsLeft({ store }: JobContext, run: FineTune, { maxSeconds }: Hyperparameters): Promise<number> {
  if (maxSeconds === 0) return 0;
  return Math.max(1, Math.ceil(maxSeconds - (await store.fineTunes.trainedSeconds(run.id))));
}

/** From a checkpoint, a run repeats no baselines, and no warm-up that was over; without one it starts where the first one did. */
function backTo(checkpoint: Checkpoint | null, run: FineTune, settings: Hyperparameters, learningRate: number): Place {
  const { fromCheckpointId, firstStep } = run;
  if (checkpoint === null) {
    const from = fromCheckpointId === null ? null : { checkpointId: fromCheckpointId, firstStep };
    return { step: 0, from, hyperparameters: { ...settings, learningRate } };
  }
  const { id: checkpointId, step } = checkpoint;
  const steps = settings.steps - step;
  const once = { warmupSteps: warmupAfter(step, settings, steps), inContextRows: 0, linearProbe: false };
  return {
    step,
    from: { checkpointId, firstStep: firstStep + step },
    hyperparameters: { ...settings, ...once, learningRate, steps },
  };
}

/** @param diverged null if the run has not */
export async function finish(context: JobContext, diverged: Diverged | null, overfit: Fall | null): Promise<void> {
  const { store, job } = context;
  const run = await readRun(store, job.subject);
  const settings = settingsOf(run);
  if (diverged !== null && settings.whenDiverged !== "GO_ON") {
    const { seen, advice, goBack } = diverged;
    const failed = { status: "FAILED", code: "DIVERGED", issues: [] } as const;
    const goesBack = settings.whenDiverged === "GO_BACK";
    await store.finishFineTune(job, {
      ...failed,
      ...(goesBack ? { message: seen, goBack: { ...goBack, otherwise: advice } } : { message: `${seen} ${advice}` }),
    });
  } else {
    const notes = diverged === null ? await notesOf(store, run, overfit, settings) : [];
    await store.finishFineTune(job, { status: "SUCCEEDED", notes, diverged: diverged !== null });
  }
}

/** What to say of the whole run at its end. Its first steps may be another worker's, so all is read from the store. */
async function notesOf(
  { fineTunes }: Store,
  run: FineTune,
  overfit: Fall | null,
  settings: Hyperparameters,
): Promise<RunNote[]> {
  if (overfit) return [{ type: "OVERFITTED", message: overfittedMessage(overfit, settings) }];
  const limit = stepsCompared(run.stepsDone);
  const lossesAfter = async (afterStep: number) =>
    (await fineTunes.metrics(run.id, { afterStep, limit })).map(({ loss }) => loss);
  const [firstLosses, lastLosses, evaluations] = await Promise.all([
    lossesAfter(0),
    lossesAfter(run.stepsDone - limit),
    fineTunes.evaluations(run.id),
  ]);
  const validations = evaluations.filter(({ kind }) => kind === "VALIDATION");
  const { stepsDone: steps, zeroSteps } = run;
  const message = hardlyMoved({ firstLosses, lastLosses, steps, zeroSteps, validations }, settings);
  return message === null ? [] : [{ type: "HARDLY_MOVED", message }];
}
