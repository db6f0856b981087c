/**
 * Counts what a run will do, by doing it with a model that only counts: batches, estimators, objectives and evaluations are
 * those of the run. Long runs are counted on some of their steps.
 */
import { loadOptionalTokenizer } from "../../dataset/tokenizer.ts";
import type { Tokenizer } from "../../dataset/tokenizer.ts";
import type { Passes, PlannedEvaluation, PlannedRun, RunCounts } from "../../schema/estimate.ts";
import type { Hyperparameters } from "../../schema/hyperparameters.ts";
import { contextTaken } from "../../schema/hyperparameters.ts";
import type { EvaluationKind } from "../../schema/states.ts";
import { ruleSeed } from "../../schema/step-log.ts";
import { bytesPerElement, elementCount } from "../devices/device.ts";
import type { ModelFolder } from "../model/files/folder.ts";
import { openModelFolder } from "../model/files/folder.ts";
import type { ForwardModel } from "../model/model.ts";
import { sum } from "../numbers/mean.ts";
import { trainableTensors } from "../model/trainable.ts";
import type { EvaluationSet } from "../objective/evaluate.ts";
import { evaluate, firstOfSet } from "../objective/evaluate.ts";
import type { Probe, ProbeRows } from "../objective/linear-probe.ts";
import { linearProbe, probeFeatures } from "../objective/linear-probe.ts";
import type { Objective } from "../objective/objective.ts";
import type { RunData } from "../train/data.ts";
import { readData } from "../train/data.ts";
import { pickLearningRate } from "../train/learning-rate.ts";
import { batchOf, estimate } from "../train/mezo.ts";
import { settingsOf, trainedBy } from "../train/prepare.ts";
import type { MezoSettings } from "../train/settings.ts";
import { estimatesAt } from "../../schema/estimates.ts";
import { PassCounter, countingModel } from "./counting-model.ts";

/** How the sandbox hears that the work goes on (sandbox/messages.ts). */
interface Progress {
  readonly progress: () => void;
}

/** @throws as the run would, for a model, rows or settings that it cannot use */
export async function countRun(run: PlannedRun, { progress }: Progress): Promise<RunCounts> {
  const folder = await openModelFolder(run.modelPath, progress);
  const data = await readData(run, folder, { now: progress }, { begin: progress, end: progress });
  const { hyperparameters } = run;
  const count = await counterOf(folder, hyperparameters, progress);
  const settings = { ...settingsOf({ hyperparameters, fork: null }), learningRate: 1 };
  const auto = hyperparameters.learningRate === "AUTO";
  const probes = await count(
    async (model) => auto && (await pickLearningRate(model, data.objective, settings, hyperparameters.method)),
  );
  const steps = await countSteps(hyperparameters, settings, data.objective, count);
  const estimates = sum(stepsOf(hyperparameters), (t) => estimatesAt(settings, t));
  const why = whyInexact(hyperparameters, steps.counted);
  return {
    ...data.tokens,
    steps: { passes: steps.passes, tokens: steps.tokens },
    probes,
    evaluations: await countEvaluations(hyperparameters, data, count),
    logEntries: estimates,
    logBytes: estimates * (hyperparameters.weightDecay === 0 ? 2 : 6),
    checkpoints: 1 + timesWithin(hyperparameters, hyperparameters.checkpointEvery),
    weightsBytes: weightsBytes(hyperparameters, folder),
    exact: why === null,
    why,
  };
}

/** The passes of what is measured with a model that only counts. */
export type Count = (measure: (model: ForwardModel) => Promise<unknown>) => Promise<Passes>;

export async function counterOf(
  folder: ModelFolder,
  hyperparameters: Hyperparameters,
  progress: () => void = () => {},
): Promise<Count> {
  const answers = hyperparameters.answerTokens > 0 ? await answersOf(folder) : ([0, 0] as const);
  const taken = contextTaken(hyperparameters);
  return async (measure) => {
    const counter = new PassCounter();
    await measure(countingModel(folder, { counter, taken, answers }));
    progress();
    return { passes: counter.passes, tokens: counter.tokens };
  };
}

/** Rows that are measured to count, at most: half a second or so. */
const mostMeasured = 500_000;

/** Some steps stand for all when there are many; `counted` is how many did. */
async function countSteps(
  hyperparameters: Hyperparameters,
  settings: MezoSettings,
  objective: Objective,
  count: Count,
): Promise<Passes & { counted: number }> {
  const { steps, batchSize, accumulate, estimates, estimatesAtEnd, answerTokens } = hyperparameters;
  const kind = hyperparameters.objective;
  const answers = kind === "F1" || kind === "EXACT_MATCH" ? answerTokens ** 2 : 1;
  const costly = batchSize * accumulate * (Math.max(estimates, estimatesAtEnd) + 1) * answers;
  const some = Math.min(steps, Math.max(1, Math.floor(mostMeasured / costly)));
  const total = new PassCounter();
  for (let i = 0; i < some; i++) {
    const t = Math.floor(((i + 0.5) * steps) / some);
    const { passes, tokens } = await countStep(settings, objective, t, count);
    total.passes += passes;
    total.tokens += tokens;
  }
  const scale = steps / some;
  return { passes: Math.round(total.passes * scale), tokens: Math.round(total.tokens * scale), counted: some };
}

/** The passes of step t, from 0. */
export function countStep(settings: MezoSettings, objective: Objective, t: number, count: Count): Promise<Passes> {
  const seeds = Array.from({ length: estimatesAt(settings, t) }, (_, entry) => ruleSeed(settings.seed, entry));
  return count((model) => estimate(model, objective, batchOf(objective, settings, t), settings, seeds));
}

async function countEvaluations(settings: Hyperparameters, data: RunData, count: Count): Promise<PlannedEvaluation[]> {
  const planned: PlannedEvaluation[] = [];
  for (const { kind, times, part } of evaluationsOf(settings, data)) {
    const { passes, tokens } = await count(part(1).count);
    planned.push({ kind, times, passes: times * passes, tokens: times * tokens });
  }
  return planned;
}

/** An evaluation of a run, or of a share of its rows: with a model, and with one that only counts. */
interface EvaluationPart {
  readonly measure: (model: ForwardModel) => Promise<unknown>;
  readonly count: (model: ForwardModel) => Promise<unknown>;
}

interface Evaluations {
  readonly kind: EvaluationKind;
  readonly times: number;
  readonly rows: number;
  readonly part: (share: number) => EvaluationPart;
}

/** As evaluation-schedule.ts and run.ts have them, if the best weights are not those of the start. */
export function evaluationsOf(settings: Hyperparameters, data: RunData): Evaluations[] {
  const { validation, test, inContext, probe } = data;
  const sets = [
    ["VALIDATION", 2 + timesWithin(settings, settings.evaluateEvery), validation],
    ["IN_CONTEXT", 1, inContext],
    ["TEST", 2, test],
  ] as const;
  return [
    ...sets.flatMap(([kind, times, set]) => (set ? [{ kind, times, ...evaluationOfSet(set) }] : [])),
    ...(probe ? [{ kind: "LINEAR_PROBE" as const, times: 1, ...evaluationOfProbe(probe) }] : []),
  ];
}

function evaluationOfSet(set: EvaluationSet): Pick<Evaluations, "rows" | "part"> {
  const part = (share: number): EvaluationPart => {
    const some = firstOfSet(set, Math.ceil(set.rows.length * share));
    return { measure: (model) => evaluate(model, some), count: (model) => evaluate(model, withoutTexts(some)) };
  };
  return { rows: set.rows.length, part };
}

function evaluationOfProbe(probe: Probe): Pick<Evaluations, "rows" | "part"> {
  const part = (share: number): EvaluationPart => {
    const rowsOf = ({ rows, classes }: ProbeRows) => ({ rows: firstOf(rows, share), classes: firstOf(classes, share) });
    const some = { ...probe, training: rowsOf(probe.training), validation: rowsOf(probe.validation) };
    return {
      measure: (model) => linearProbe(model, some),
      async count(model) {
        await probeFeatures(model, some.training.rows);
        await probeFeatures(model, some.validation.rows);
      },
    };
  };
  return { rows: probe.training.rows.length, part };
}

function firstOf<T>(items: readonly T[], share: number): readonly T[] {
  return items.slice(0, Math.ceil(items.length * share));
}

/** Answers that are only counted need not be read. */
function withoutTexts(set: EvaluationSet): EvaluationSet {
  const { tokenizer } = set.settings;
  return { ...set, settings: { ...set.settings, tokenizer: tokenizer && { ...tokenizer, decode: () => "" } } };
}

/** How often something that is done every `interval` steps is done before the last step. */
function timesWithin({ steps }: Hyperparameters, interval: number): number {
  return interval === 0 ? 0 : Math.floor((steps - 1) / interval);
}

function weightsBytes(hyperparameters: Hyperparameters, folder: ModelFolder): number {
  const trained = trainedBy({ hyperparameters, fork: null }, folder);
  const own = trained.adapter?.tensors ?? trained.trainable ?? trainableTensors(folder);
  const bytes = sum(own, ({ shape, dtype }) => elementCount(shape) * bytesPerElement[dtype]);
  if (trained.adapter) return bytes;
  const changed = new Set(own.map(({ name }) => name));
  return (
    bytes +
    sum(
      folder.tensors.filter(({ name }) => !changed.has(name)),
      (tensor) => tensor.bytes,
    )
  );
}

function whyInexact({ answerTokens, steps }: Hyperparameters, some: number): string | null {
  const reasons = [
    ...(answerTokens > 0 ? ["answers may end before their longest"] : []),
    ...(some < steps ? [`they were counted for ${some} of the ${steps} steps`] : []),
  ];
  return reasons.length === 0 ? null : reasons.join("; ");
}

/** Two tokens of which answers may consist: they end neither a text nor a line. */
async function answersOf({ path, endOfSequence }: ModelFolder): Promise<readonly [number, number]> {
  const tokenizer = await loadOptionalTokenizer(path);
  const words = tokenizer?.encodeMore("one of the words that answers are made of") ?? [];
  const fits = (id: number) => tokenizer !== null && !endOfSequence.includes(id) && goesOn(tokenizer, id);
  const [plus = 0, minus = plus] = new Set(words.filter(fits));
  return [plus, minus];
}

function goesOn(tokenizer: Tokenizer, id: number): boolean {
  const text = tokenizer.decode([id, id]);
  return text !== "" && !text.includes("\n");
}

function* stepsOf({ steps }: Hyperparameters): Generator<number> {
  for (let t = 0; t < steps; t++) yield t;
}
