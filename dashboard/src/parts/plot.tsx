/**
 * A chart of series over one axis, drawn by uPlot on a canvas. Charts of one group share the axis: zoom and the line under the
 * pointer move together. The legend shows the value of every series at that line, also where a series has a gap; the last
 * values while there is no line.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import UPlot, { type AlignedData, type Options, type Series } from "uplot";
import { formatCounted } from "../format.ts";
import { shownTheme } from "../theme.ts";
import { leftOut, onLogScale } from "./log-scale.ts";
import { lastIn, plotKeys, pressed } from "./plot-keys.ts";
import type { PlotSeries } from "./plot-series.ts";
import { plainTick, valueNear } from "./values.ts";
import type { Range } from "./zoom.ts";

interface PlotProps {
  /** Says in words what the chart shows. */
  readonly name: string;
  readonly x: { readonly label: string; readonly values: readonly number[]; readonly format: (x: number) => string };
  readonly series: readonly PlotSeries[];
  readonly height: number;
  readonly log?: boolean;
  /** Writes the numbers beside the chart; left out, they are plain. */
  readonly tick?: (value: number) => string;
  /** Charts with the same group share the line under the pointer. */
  readonly group?: string;
  /** What is shown of the axis, and all of it. */
  readonly range: Range;
  readonly whole: Range;
  /** Somebody dragged over a part, or double-clicked to see all. */
  readonly onRange: (range: Range | null) => void;
}

const outOfSightMs = 400;

export function Plot(props: PlotProps) {
  const { name, x, series, height, log = false, group, range } = props;
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const inSight = useRef(true);
  const [said, setSaid] = useState("");
  const late = useRef<ReturnType<typeof setTimeout> | null>(null);
  const look = series.map(({ label, color, width, dashed, marks }) => [label, color, width, dashed, marks].join());

  // Drawn anew when its look changes; data alone are only set.
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const drawn = new UPlot(optionsOf(element, latest), dataOf(latest.current), element);
    plot.current = drawn;
    const resize = new ResizeObserver(() => drawn.setSize({ width: element.clientWidth, height }));
    resize.observe(element);
    const sight = new IntersectionObserver((entries) => {
      inSight.current = entries.at(-1)?.isIntersecting ?? true;
      if (inSight.current && late.current !== null) show();
    });
    sight.observe(element);
    return () => {
      resize.disconnect();
      sight.disconnect();
      clearTimeout(late.current ?? undefined);
      drawn.destroy();
    };
  }, [shownTheme.value, look.join(), x.label, height, log, group]);

  const show = () => {
    clearTimeout(late.current ?? undefined);
    late.current = null;
    const { range: shown } = latest.current;
    plot.current?.setData(dataOf(latest.current), false);
    plot.current?.setScale("x", { min: shown.min, max: shown.max });
    // Drawn or not, the last values are others now.
    if (plot.current?.cursor.idx == null) plot.current?.setLegend({}, false);
  };
  // Most charts of a page are out of sight while steps arrive: these follow a little later, or when they come into sight.
  const showInTime = () => {
    if (inSight.current) show();
    else late.current ??= setTimeout(show, outOfSightMs);
  };
  useEffect(showInTime, [x.values, series, range.min, range.max, shownTheme.value, look.join(), height, log, group]);

  const press = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !plot.current) return;
    if (!pressed(event, { ...latest.current, plot: plot.current, group })) return;
    event.preventDefault();
    if (event.key.startsWith("Arrow")) setSaid(spoken(plot.current, latest.current));
  };
  const out = log ? leftOut(series, x.values, range) : 0;
  return (
    <>
      <div
        ref={box}
        class="plot"
        role="img"
        aria-label={name}
        tabIndex={0}
        aria-keyshortcuts={plotKeys}
        onKeyDown={press}
      />
      <p class="hidden" aria-live="polite">
        {said}
      </p>
      {out > 0 && (
        <p class="muted note">
          {formatCounted(out, "value")} of 0 or below {out === 1 ? "is" : "are"} left out: a log scale has no place for
          them.
        </p>
      )}
    </>
  );
}

/** What the legend shows at the line, for those who hear it. */
function spoken({ cursor }: UPlot, { x, series, range }: PlotProps): string {
  const at = cursor.idx ?? lastIn(x.values, range);
  const values = series.map(({ label, values: some, format }) => `${label} ${format(valueNear(some, at))}`);
  return `${x.label} ${x.format(x.values[at] ?? 0)}: ${values.join(", ")}`;
}

const dataOf = ({ x, series, log = false }: PlotProps): AlignedData => [
  x.values as number[],
  ...series.map(({ values }) => (log ? onLogScale(values) : values) as (number | null)[]),
];

function optionsOf(element: HTMLElement, latest: { readonly current: PlotProps }): Options {
  const { height, log, group, x, series, tick = plainTick } = latest.current;
  const style = getComputedStyle(element);
  const color = (name: string) => style.getPropertyValue(name).trim();
  // On a log scale, most lines have no number.
  const label = (value: number | null) => (value === null ? "" : tick(value));
  const axis = {
    stroke: color("--muted"),
    grid: { stroke: color("--line"), width: 1 },
    ticks: { stroke: color("--line") },
  };
  return {
    width: element.clientWidth,
    height,
    scales: { x: { time: false }, y: { distr: log ? 3 : 1 } },
    cursor: {
      points: { size: 7 },
      drag: { x: true, y: false, setScale: false },
      ...(group !== undefined && { sync: { key: group } }),
    },
    hooks: {
      // What is shown is kept outside, so that all charts of a page follow.
      setSelect: [
        (plot) => {
          const { left, width } = plot.select;
          if (width > 0)
            latest.current.onRange({ min: plot.posToVal(left, "x"), max: plot.posToVal(left + width, "x") });
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
      ready: [(plot) => plot.over.addEventListener("dblclick", () => latest.current.onRange(null))],
    },
    axes: [axis, { ...axis, size: 70, values: (_plot, splits: (number | null)[]) => splits.map(label) }],
    series: [
      {
        label: x.label,
        value: (_plot, at: number | null) => {
          const { x: now, range } = latest.current;
          const shown = at ?? now.values[lastIn(now.values, range)];
          return shown === undefined ? "–" : now.format(shown);
        },
      },
      ...series.map((one, index) => seriesOf(one, index, color, latest)),
    ],
  };
}

function seriesOf(
  { label, color: name, width = 2, dashed = false, marks = false }: PlotSeries,
  index: number,
  color: (name: string) => string,
  latest: { readonly current: PlotProps },
): Series {
  const stroke = color(name);
  return {
    label,
    stroke,
    width,
    spanGaps: true,
    ...(dashed && { dash: [5, 4] }),
    points: marks ? { show: true, size: 8, fill: stroke } : { show: false },
    value: (_plot, value: number | null, _series, at: number | null) => {
      const { x, range, series } = latest.current;
      const one = series[index];
      // What a log scale leaves out is told too.
      return one ? one.format(value ?? valueNear(one.values, at ?? lastIn(x.values, range))) : "–";
    },
  };
}
