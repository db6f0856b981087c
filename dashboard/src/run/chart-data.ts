/** What a run's charts show: each a few series over the steps. */
import { formatBytes, formatInteger, formatLoss, formatRate } from "../format.ts";
import { scoreOf, titleOf, type Measure } from "../parts/measure.ts";
import type { PlotSeries } from "../parts/plot-series.ts";
import { smooth, union, type Point } from "./points.ts";
import type { Run } from "./run-state.ts";

export interface Chart {
  readonly title: string;
  readonly unit: string;
  readonly steps: readonly number[];
  readonly series: readonly PlotSeries[];
  readonly tick?: (value: number) => string;
  /** Whether it is drawn of steps, of which a long run has several in a point. */
  readonly ofSteps?: true;
  /** What is counted, where the title does not say it. */
  readonly note?: string;
}

type Evaluation = Run["evaluations"][number];
type Value = (evaluation: Evaluation) => number | null;

/** The first chart is the large one. Charts without a value are left out. */
export function chartsOf(run: Run, points: readonly Point[], window: number): Chart[] {
  const loss: Value = (one) => one.loss;
  const score = scoreOf(run.hyperparameters.bestMetric, run.evaluations);
  const steps = points.map(({ step }) => step);
  const losses = points.map((point) => point.loss);
  const line = (label: string, values: (number | null)[], format = formatSmall): PlotSeries => ({
    label,
    color: "--series-1",
    values,
    format,
  });
  const lossChart = ofSteps("Loss", "nats per scored token", [
    { steps, series: { ...line(eachIn(points), losses, formatLoss), color: "--series-raw", width: 1 } },
    { steps, series: line("Smoothed", smooth(points, window), formatLoss) },
    ...evaluated(run, loss, formatLoss),
  ]);
  return [
    lossChart,
    ...(score ? [scoreChart(run, score)] : []),
    ofSteps("Learning rate", "", [
      {
        steps,
        series: line(
          "Learning rate",
          points.map((one) => one.learningRate),
        ),
      },
    ]),
    {
      ...ofSteps("Projected gradient", "nats, without its sign", [
        {
          steps,
          series: line(
            "Size",
            points.map(({ projectedGradient: one }) => one && Math.abs(one)),
          ),
        },
      ]),
      note: "Where several estimates or steps are drawn as one, the root of their mean square.",
    },
    ofSteps("Time", "seconds a step", [
      {
        steps,
        series: line(
          "Seconds",
          points.map((one) => one.seconds),
        ),
      },
    ]),
    memoryChart(run),
  ].filter(({ series }) => series.some(({ values }) => values.some((value) => value !== null)));
}

const ofSteps = (...parts: Parameters<typeof onOneAxis>): Chart => ({ ...onOneAxis(...parts), ofSteps: true });

/** Long runs are drawn with steps merged: the loss is then a mean. */
function eachIn(points: readonly Point[]): string {
  const most = points.reduce((sofar, { count }) => Math.max(sofar, count), 1);
  return most === 1 ? "Each step" : `Mean of up to ${formatInteger(most)} steps`;
}

const units: Readonly<Partial<Record<Measure["name"], string>>> = {
  F1: "of words, mean over the rows",
  accuracy: "share of rows that are right",
  "exact match": "share of rows whose answer is exactly right",
};

const scoreChart = (run: Run, score: Measure): Chart => ({
  ...onOneAxis(titleOf(score), units[score.name] ?? "", evaluated(run, score.of, score.format)),
  tick: score.format,
});

const formatSmall = (value: number | null) =>
  value === 0 ? "0" : value !== null && Math.abs(value) < 0.01 ? value.toExponential(2) : formatRate(value);

interface Part {
  readonly steps: readonly number[];
  readonly series: PlotSeries;
}

const memoryNote =
  "What the worker’s whole process holds, with the program and models that it answers requests with; without memory of a GPU. " +
  "Forward passes alone are those of the first evaluation: inference with the same model, in the same process.";

/** What the steps took beside what the same model takes without training: its weights, and forward passes alone. */
function memoryChart({ memory: { weightsBytes, readings }, progress }: Run): Chart {
  const steps = readings.filter(({ kind }) => kind === "STEPS");
  const forward = readings.find(({ kind }) => kind === "FORWARD_PASSES");
  const format = (bytes: number | null) => (bytes === null ? "–" : formatBytes(bytes));
  const most = ({ peakBytes, residentBytes }: (typeof readings)[number]) => peakBytes ?? residentBytes;
  const line: Part = {
    steps: steps.map(({ step }) => step),
    series: { label: "Steps (the most)", color: "--series-1", values: steps.map(most), marks: true, format },
  };
  const level = (label: string, color: string, bytes: number): Part => ({
    steps: [0, Math.max(progress.step, 1)],
    series: { label, color, dashed: true, width: 1.5, values: [bytes, bytes], format },
  });
  const bounds = [
    ...(forward ? [level("Forward passes alone", "--series-2", most(forward))] : []),
    level("Weights alone", "--series-10", weightsBytes),
  ];
  const chart = onOneAxis("Memory", "resident on the worker", steps.length === 0 ? [] : [line, ...bounds]);
  return { ...chart, tick: formatBytes, note: memoryNote };
}

/** Evaluations as marks, and what the base model and the baselines reached as lines over the whole width. */
function evaluated(run: Run, measure: Value, format: PlotSeries["format"]): Part[] {
  const of = (kind: Evaluation["kind"]) => run.evaluations.filter((one) => one.kind === kind);
  const known = (list: readonly Evaluation[]) => list.filter((one) => measure(one) !== null);
  const [validations, tests] = [known(of("VALIDATION")), known(of("TEST"))];
  const marks = (label: string, color: string, list: readonly Evaluation[]): Part[] =>
    list.length === 0
      ? []
      : [
          {
            steps: list.map(({ step }) => step),
            series: { label, color, marks: true, values: list.map(measure), format },
          },
        ];
  const level = (label: string, color: string, one: Evaluation | undefined): Part[] => {
    if (one === undefined) return [];
    const ends = [0, Math.max(run.progress.step, 1)];
    return [
      { steps: ends, series: { label, color, dashed: true, width: 1.5, values: ends.map(() => measure(one)), format } },
    ];
  };
  const start = run.from ? "Before this run" : "Base model";
  return [
    ...marks("Validation", "--series-2", validations),
    ...marks("Test", "--series-3", tests),
    ...level(
      start,
      "--series-10",
      validations.find(({ step }) => step === 0),
    ),
    ...level("In-context examples", "--series-4", known(of("IN_CONTEXT"))[0]),
    ...level("Linear probe", "--series-5", known(of("LINEAR_PROBE"))[0]),
  ];
}

/**
 * All parts over the steps that any of them has. Both are in order, so that one walk over them is enough: a run of many steps
 * is drawn anew with each step.
 */
function onOneAxis(title: string, unit: string, parts: readonly Part[]): Chart {
  const steps = parts.reduce<readonly number[]>((all, part) => union(all, part.steps), []);
  return { title, unit, steps, series: parts.map((part) => ({ ...part.series, values: onAxis(part, steps) })) };
}

function onAxis({ steps: own, series: { values } }: Part, steps: readonly number[]): readonly (number | null)[] {
  if (own === steps) return values;
  let at = 0;
  return steps.map((step) => (own[at] === step ? (values[at++] ?? null) : null));
}
