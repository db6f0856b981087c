/**
 * The charts of a run. They share the axis of steps: what is zoomed in one is zoomed in all, and the line under the pointer
 * shows every series at that step. A part that is zoomed to is read again with more detail.
 */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { save } from "../api/client.ts";
import { ask } from "../api/query.ts";
import { formatCounted, formatInteger } from "../format.ts";
import { Plot, type Range } from "../parts/plot.tsx";
import { chartsOf, type Chart } from "./chart-data.ts";
import { chartPart } from "./operations.ts";
import { lastStep, stepCount, usualWindow, type Point } from "./points.ts";
import type { Run, RunState } from "./run-state.ts";

interface ChartsProps {
  readonly run: Run;
  readonly state: RunState;
}

/** The slider's positions: shares of the steps shown that are smoothed over. */
const shares = [0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4];
const usualShare = 4;

export function Charts({ run, state }: ChartsProps) {
  const [range, setRange] = useState<Range | null>(null);
  const [log, setLog] = useState(false);
  const [share, setShare] = useState(usualShare);
  const detail = useDetail(run.id, range);
  const points = detail ?? state.points;
  const shown = range === null ? stepCount(state.points) : range.max - range.min;
  const window = share === usualShare ? usualWindow(shown) : Math.max(1, Math.round(shown * (shares[share] ?? 0)));
  const charts = useMemo(
    () => chartsOf(run, points, window),
    [points, state.version, run.evaluations, run.progress.step, window],
  );
  const whole = wholeOf(charts);
  const steps = formatCounted(lastStep(state.points), "step");
  return (
    <section class="card charts" data-last-step={lastStep(state.points)} data-steps={stepCount(state.points)}>
      <div class="toolbar">
        <h2>Charts</h2>
        <label class="slider">
          Smoothing
          <input
            type="range"
            min={0}
            max={shares.length - 1}
            value={share}
            aria-valuetext={window > 1 ? `over ${formatCounted(window, "step")}` : "none"}
            onInput={({ currentTarget: { value } }) => setShare(Number(value))}
          />
          <output>{window > 1 ? formatCounted(window, "step") : "none"}</output>
        </label>
        <label class="check">
          <input type="checkbox" checked={log} onChange={({ currentTarget }) => setLog(currentTarget.checked)} />
          Log scale
        </label>
        {range !== null && (
          <button type="button" onClick={() => setRange(null)}>
            Show all steps
          </button>
        )}
      </div>
      <div class="plots">
        {charts.map((chart, index) => (
          <Figure
            key={chart.title}
            {...{ run, chart, log }}
            range={range ?? whole}
            large={index === 0}
            name={`${chart.title} of ${run.name}, ${steps}`}
            onRange={setRange}
          />
        ))}
      </div>
      <p class="muted">Drag over a part to see it closer; double-click to see all again.</p>
    </section>
  );
}

interface FigureProps {
  readonly run: Run;
  readonly chart: Chart;
  readonly name: string;
  readonly large: boolean;
  readonly log: boolean;
  readonly range: Range;
  readonly onRange: (range: Range | null) => void;
}

function Figure({ run, chart, name, large, log, range, onRange }: FigureProps) {
  const figure = useRef<HTMLElement>(null);
  const { title, unit, steps, series } = chart;
  const file = `${run.name}-${title.toLowerCase().replaceAll(" ", "-")}`;
  const savePng = () => figure.current?.querySelector("canvas")?.toBlob((blob) => blob && save(blob, `${file}.png`));
  return (
    <figure ref={figure} class={large ? "figure large" : "figure"}>
      <figcaption>
        <h3>
          {title} {unit !== "" && <small class="muted">{unit}</small>}
        </h3>
        <button type="button" class="quiet" aria-label={`Save the chart ${title} as PNG`} onClick={savePng}>
          PNG
        </button>
        <button
          type="button"
          class="quiet"
          aria-label={`Save the numbers of ${title} as CSV`}
          onClick={() => save(new Blob([csvOf(chart)], { type: "text/csv" }), `${file}.csv`)}
        >
          CSV
        </button>
      </figcaption>
      <Plot
        name={name}
        x={{ label: "Step", values: steps, format: formatInteger }}
        series={series}
        height={large ? 320 : 180}
        log={log}
        group={run.id}
        range={range}
        onRange={onRange}
      />
    </figure>
  );
}

/** All steps of any chart: each shows the same of the axis, also if it has nothing there. */
function wholeOf(charts: readonly Chart[]): Range {
  const min = Math.min(...charts.map(({ steps }) => steps[0] ?? Infinity));
  const max = Math.max(...charts.map(({ steps }) => steps.at(-1) ?? -Infinity));
  return Number.isFinite(min) ? { min, max: Math.max(max, min + 1) } : { min: 0, max: 1 };
}

/** Numbers need no quotes, and the labels have none. */
function csvOf({ steps, series }: Chart): string {
  const head = ["step", ...series.map(({ label }) => label)];
  const rows = steps.map((step, index) => [step, ...series.map(({ values }) => values[index] ?? "")]);
  return [head, ...rows].map((row) => `${row.join(",")}\n`).join("");
}

/** The points of a part of the steps; null while all are shown, and until they are there. */
function useDetail(id: string, range: Range | null): readonly Point[] | null {
  const [detail, setDetail] = useState<readonly Point[] | null>(null);
  const [from, to] = range === null ? [0, 0] : [Math.max(1, Math.floor(range.min)), Math.max(1, Math.ceil(range.max))];
  useEffect(() => {
    let over = false;
    setDetail(null);
    if (range === null) return undefined;
    ask(chartPart, { id, from, to })
      .then(({ fineTune }) => !over && fineTune && setDetail(fineTune.chart))
      // What is there already is shown instead; the page says that the service does not answer.
      .catch(() => undefined);
    return () => {
      over = true;
    };
  }, [id, from, to]);
  return detail;
}
