/** What a run's charts show: each a few series over the steps. */
import { formatLoss, formatRate, formatShare } from "../format.ts";
import type { PlotSeries } from "../parts/plot.tsx";
import { smooth, type Point } from "./points.ts";
import type { Run } from "./run-state.ts";

export interface Chart {
  readonly title: string;
  readonly unit: string;
  readonly steps: readonly number[];
  readonly series: readonly PlotSeries[];
}

type Evaluation = Run["evaluations"][number];
type Measure = (evaluation: Evaluation) => number | null;

/** The first chart is the large one. Charts without a value are left out. */
export function chartsOf(run: Run, points: readonly Point[], window: number): Chart[] {
  const score: Measure = ({ accuracy, f1 }) => f1 ?? accuracy;
  const loss: Measure = (one) => one.loss;
  const steps = points.map(({ step }) => step);
  const losses = points.map((point) => point.loss);
  const line = (label: string, values: (number | null)[], format = formatSmall): PlotSeries => ({
    label,
    color: "--series-1",
    values,
    format,
  });
  const lossChart = onOneAxis("Loss", "nats per scored token", [
    { steps, series: { ...line("Each step", losses, formatLoss), color: "--series-raw", width: 1 } },
    { steps, series: line("Smoothed", smooth(points, window), formatLoss) },
    ...evaluated(run, loss, formatLoss),
  ]);
  const scoreName = run.evaluations.some(({ f1 }) => f1 !== null) ? "F1" : "Accuracy";
  return [
    lossChart,
    onOneAxis(scoreName, "share of the rows", evaluated(run, score, formatShare)),
    onOneAxis("Learning rate", "", [
      {
        steps,
        series: line(
          "Learning rate",
          points.map((one) => one.learningRate),
        ),
      },
    ]),
    onOneAxis("Projected gradient", "nats", [
      {
        steps,
        series: line(
          "Projected gradient",
          points.map((one) => one.projectedGradient),
        ),
      },
    ]),
    onOneAxis("Time", "seconds a step", [
      {
        steps,
        series: line(
          "Seconds",
          points.map((one) => one.seconds),
        ),
      },
    ]),
  ].filter(({ series }) => series.some(({ values }) => values.some((value) => value !== null)));
}

const formatSmall = (value: number | null) =>
  value === 0 ? "0" : value !== null && Math.abs(value) < 0.01 ? value.toExponential(2) : formatRate(value);

interface Part {
  readonly steps: readonly number[];
  readonly series: PlotSeries;
}

/** Evaluations as marks, and what the base model and the baselines reached as lines over the whole width. */
function evaluated(run: Run, measure: Measure, format: PlotSeries["format"]): Part[] {
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

/** All parts over the steps that any of them has. */
function onOneAxis(title: string, unit: string, parts: readonly Part[]): Chart {
  const steps = [...new Set(parts.flatMap((part) => part.steps))].toSorted((a, b) => a - b);
  const series = parts.map(({ steps: own, series: one }) => {
    const valueAt = new Map(own.map((step, index) => [step, one.values[index] ?? null]));
    return { ...one, values: steps.map((step) => valueAt.get(step) ?? null) };
  });
  return { title, unit, steps, series };
}
