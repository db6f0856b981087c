/**
 * The charts of a run. They share the axis of steps: what is zoomed in one is zoomed in all, and the line under the pointer
 * shows every series at that step. A part that is zoomed to is read again with more detail.
 */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { invariant } from "../../../schema/errors.ts";
import { save } from "../api/client.ts";
import { quietly } from "../api/failure.ts";
import { ask } from "../api/query.ts";
import { at } from "../base.ts";
import { formatCounted, formatInteger } from "../format.ts";
import { Plot } from "../parts/plot.tsx";
import { ZoomBar } from "../parts/zoom-bar.tsx";
import type { Range } from "../parts/zoom.ts";
import { chartsOf, type Chart } from "./chart-data.ts";
import { readExactly } from "./exact-steps.ts";
import { chartPart } from "./operations.ts";
import { pictureOf } from "./picture.ts";
import { lastStep, stepCount, usualWindow, type Point } from "./points.ts";
import type { Run, RunState } from "./run-state.ts";
import { SaveNumbers } from "./save-numbers.tsx";
import { shares, useShown, usualShare, type Shown } from "./shown.ts";

interface ChartsProps {
  readonly run: Run;
  readonly state: RunState;
}

export function Charts({ run, state }: ChartsProps) {
  const [{ range, log, share }, show] = useShown();
  const setRange = (next: Range | null) => show({ range: next });
  const detail = useDetail(run.id, range);
  const points = detail ?? state.points;
  const shown = range === null ? stepCount(state.points) : range.max - range.min;
  const window = share === usualShare ? usualWindow(shown) : Math.max(1, Math.round(shown * (shares[share] ?? 0)));
  const charts = useMemo(
    () => chartsOf(run, points, window),
    [points, state.version, run.evaluations, run.memory, run.progress.step, window],
  );
  if (charts.length === 0) return <NoCharts />;
  const whole = wholeOf(charts);
  const last = lastStep(state.points);
  const exactly = async (title: string, onShare: (share: number) => void) => {
    const [from, to] = range === null ? [1, last] : stepsOf(range);
    const exact = await readExactly(run.id, from, to, (step) => onShare((step - from + 1) / (to - from + 1)));
    const found = chartsOf(run, exact, window).find((one) => one.title === title);
    invariant(found, "a chart of merged steps has some");
    return found;
  };
  const isMerged = points.some(({ count }) => count > 1);
  return (
    <section class="card charts" data-last-step={last} data-steps={stepCount(state.points)}>
      <Tools {...{ share, log, window, show }} />
      <ZoomBar range={range} whole={whole} axis="steps" onRange={setRange} />
      <div class="plots">
        {charts.map((chart, index) => (
          <Figure
            key={chart.title}
            {...{ run, chart, log }}
            range={range ?? whole}
            whole={whole}
            large={index === 0}
            name={`${chart.title} of ${run.name}, ${formatCounted(last, "step")}`}
            exactly={isMerged && chart.ofSteps ? (onShare) => exactly(chart.title, onShare) : null}
            onRange={setRange}
          />
        ))}
      </div>
      <p class="muted">
        Point at a chart, or tap it, to read its values at a step. Drag over a part to see it closer; double-click to
        see all again. By keys, in a chart: arrows go from value to value, <kbd>+</kbd> <kbd>−</kbd> <kbd>0</kbd> zoom,
        Shift and an arrow move along. <a href={at("/docs/read-a-run.html")}>What the charts mean</a>
      </p>
    </section>
  );
}

/** What there is to choose comes with what it changes. */
const NoCharts = () => (
  <section class="card charts" data-last-step={0} data-steps={0}>
    <h2>Charts</h2>
    <p class="muted">They begin with the first step.</p>
  </section>
);

interface ToolsProps extends Pick<Shown, "share" | "log"> {
  /** Steps that are smoothed over. */
  readonly window: number;
  readonly show: (change: Partial<Shown>) => void;
}

function Tools({ share, log, window, show }: ToolsProps) {
  return (
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
          onInput={({ currentTarget: { value } }) => show({ share: Number(value) })}
        />
        <output>{window > 1 ? formatCounted(window, "step") : "none"}</output>
      </label>
      <label class="check">
        <input type="checkbox" checked={log} onChange={({ currentTarget }) => show({ log: currentTarget.checked })} />
        Log scale
      </label>
    </div>
  );
}

interface FigureProps {
  readonly run: Run;
  readonly chart: Chart;
  readonly name: string;
  readonly large: boolean;
  readonly log: boolean;
  readonly range: Range;
  readonly whole: Range;
  readonly exactly: Parameters<typeof SaveNumbers>[0]["exactly"];
  readonly onRange: (range: Range | null) => void;
}

function Figure({ run, chart, name, large, log, range, whole, exactly, onRange }: FigureProps) {
  const figure = useRef<HTMLElement>(null);
  const { title, unit, steps, series, note, tick } = chart;
  const file = `${run.name}-${title.toLowerCase().replaceAll(" ", "-")}`;
  const savePng = () => {
    const canvas = figure.current?.querySelector("canvas");
    if (canvas) pictureOf(canvas, chart).toBlob((blob) => blob && save(blob, `${file}.png`));
  };
  return (
    <figure ref={figure} class={large ? "figure large" : "figure"}>
      <figcaption>
        <h3>
          {title} {unit !== "" && <small class="muted">{unit}</small>}
        </h3>
        <button type="button" class="quiet" aria-label={`Save the chart ${title} as PNG`} onClick={savePng}>
          PNG
        </button>
        <SaveNumbers chart={chart} exactly={exactly} file={`${file}.csv`} />
      </figcaption>
      <Plot
        name={name}
        x={{ label: "Step", values: steps, format: formatInteger }}
        series={series}
        height={large ? 320 : 180}
        log={log}
        {...(tick && { tick })}
        group={run.id}
        range={range}
        whole={whole}
        onRange={onRange}
      />
      {note !== undefined && <p class="muted note">{note}</p>}
    </figure>
  );
}

/** All steps of any chart: each shows the same of the axis, also if it has nothing there. */
function wholeOf(charts: readonly Chart[]): Range {
  const min = Math.min(...charts.map(({ steps }) => steps[0] ?? Infinity));
  const max = Math.max(...charts.map(({ steps }) => steps.at(-1) ?? -Infinity));
  return Number.isFinite(min) ? { min, max: Math.max(max, min + 1) } : { min: 0, max: 1 };
}

const stepsOf = ({ min, max }: Range) => [Math.max(1, Math.floor(min)), Math.max(1, Math.ceil(max))] as const;

/** The points of a part of the steps; null while all are shown, and until they are there. */
function useDetail(id: string, range: Range | null): readonly Point[] | null {
  const [detail, setDetail] = useState<readonly Point[] | null>(null);
  const [from, to] = range === null ? [0, 0] : stepsOf(range);
  useEffect(() => {
    let over = false;
    setDetail(null);
    if (range === null) return undefined;
    ask(chartPart, { id, from, to })
      .then(({ fineTune }) => !over && fineTune && setDetail(fineTune.chart))
      // What is there already is shown instead; the page says that the service does not answer.
      .catch(quietly);
    return () => {
      over = true;
    };
  }, [id, from, to]);
  return detail;
}
