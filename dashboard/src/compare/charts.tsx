/** The curves of all runs in one chart for the loss, and one for what is measured on validation rows. */
import { useMemo, useState } from "preact/hooks";
import { formatCompact, formatCounted, formatInteger, formatLoss, formatShare } from "../format.ts";
import { Plot } from "../parts/plot.tsx";
import { ZoomBar } from "../parts/zoom-bar.tsx";
import type { Range } from "../parts/zoom.ts";
import { axisNames, type Axis, type Comparison } from "./address.ts";
import {
  alignedLosses,
  alignedValidations,
  curveOf,
  measureNames,
  wholeOf,
  type Aligned,
  type Measure,
} from "./curves.ts";
import type { ComparedRun } from "./use-compared.ts";

interface ChartsProps {
  readonly runs: readonly ComparedRun[];
  readonly comparison: Comparison;
  readonly onChange: (change: Partial<Comparison>) => void;
}

const lossUnit = "nats per scored token";

export const colorOf = (index: number) => `--series-${index + 1}`;

const formatX: Readonly<Record<Axis, (x: number) => string>> = {
  steps: formatInteger,
  passes: formatInteger,
  time: (seconds) => `${formatCompact(seconds)} s`,
};

export function Charts({ runs, comparison: { axis, log }, onChange }: ChartsProps) {
  const [chosen, setChosen] = useState<Measure | null>(null);
  const [range, setRange] = useState<Range | null>(null);
  const curves = useMemo(() => runs.map(curveOf), [runs.map(changesOf).join()]);
  const measured = curves.some(({ validations: some }) => some.length > 0);
  const scored = curves.some(({ validations }) => validations.some((one) => one.score !== null));
  const measure = chosen ?? (scored ? "score" : "loss");
  const losses = useMemo(() => alignedLosses(curves, axis), [curves, axis]);
  const validations = useMemo(() => alignedValidations(curves, axis, measure), [curves, axis, measure]);
  const whole = wholeOf([losses, validations]);
  const plot = (title: string, { x, values }: Aligned, format: typeof formatLoss, marks: boolean) => (
    <Plot
      name={`${title} of ${formatCounted(runs.length, "run")}, by ${axisNames[axis].toLowerCase()}`}
      x={{ label: axisNames[axis], values: x, format: formatX[axis] }}
      series={runs.map(({ name }, index) => ({
        label: name,
        color: colorOf(index),
        values: values[index] ?? [],
        format,
        marks,
      }))}
      height={320}
      log={log && format === formatLoss}
      {...(format === formatShare && { tick: formatShare })}
      group="compare"
      range={range ?? whole}
      whole={whole}
      onRange={setRange}
    />
  );
  return (
    <section class="card compare-charts">
      <div class="filters">
        <select
          aria-label="Axis"
          value={axis}
          onChange={({ currentTarget }) => {
            setRange(null);
            onChange({ axis: currentTarget.value as Axis });
          }}
        >
          {Object.entries(axisNames).map(([value, name]) => (
            <option key={value} value={value} selected={value === axis}>
              By {name.toLowerCase()}
            </option>
          ))}
        </select>
        <label class="check">
          <input
            type="checkbox"
            checked={log}
            onChange={({ currentTarget }) => onChange({ log: currentTarget.checked })}
          />
          Losses on a logarithmic scale
        </label>
      </div>
      <ZoomBar range={range} whole={whole} axis={axisNames[axis].toLowerCase()} onRange={setRange} />
      <h2>
        Loss, smoothed <small class="muted">{lossUnit}</small>
      </h2>
      {plot("Smoothed loss", losses, formatLoss, false)}
      <div class="title">
        <h2>
          {measureNames[measure]}{" "}
          <small class="muted">{measure === "loss" ? lossUnit : "share of rows that are right, or F1"}</small>
        </h2>
        {scored && (
          <button type="button" class="quiet" onClick={() => setChosen(measure === "score" ? "loss" : "score")}>
            Show the {measure === "score" ? "loss" : "score"}
          </button>
        )}
      </div>
      {!measured ? (
        <p class="muted">None of these runs has measured validation rows yet.</p>
      ) : (
        plot(measureNames[measure], validations, measure === "score" ? formatShare : formatLoss, true)
      )}
      <p class="muted">
        {explained[axis]} Drag over a chart to see a part of it; double-click to see all. A score is what each run
        judges its checkpoints by: accuracy, F1 or exact match.
      </p>
    </section>
  );
}

const explained: Readonly<Record<Axis, string>> = {
  steps: "Steps of different settings may take different time.",
  passes: "How often the model read a batch: by this, estimators and numbers of estimates compare fairly.",
  time: "Seconds that the steps took on their workers, without waiting, pauses and evaluations.",
};

/** What the curves of a run are made of grows only. */
const changesOf = ({ id, chart, evaluations, progress }: ComparedRun) =>
  [id, chart.length, chart.at(-1)?.step, progress.step, evaluations.length].join(" ");
