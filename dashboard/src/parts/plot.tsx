/**
 * A chart of series over one axis, drawn by uPlot on a canvas. Charts of one group share the axis: zoom and the line under the
 * pointer move together. The legend shows the value of every series at that line, also where a series has a gap.
 */
import { useEffect, useRef } from "preact/hooks";
import UPlot, { type AlignedData, type Options, type Series } from "uplot";
import { shownTheme } from "../theme.ts";
import { valueNear } from "./values.ts";

export interface PlotSeries {
  readonly label: string;
  /** Name of a custom property, such as "--series-1". */
  readonly color: string;
  readonly values: readonly (number | null)[];
  readonly format: (value: number | null) => string;
  readonly width?: number;
  readonly dashed?: boolean;
  /** A mark at each value, for series with few of them. */
  readonly marks?: boolean;
}

export interface Range {
  readonly min: number;
  readonly max: number;
}

interface PlotProps {
  /** Says in words what the chart shows. */
  readonly name: string;
  readonly x: { readonly label: string; readonly values: readonly number[]; readonly format: (x: number) => string };
  readonly series: readonly PlotSeries[];
  readonly height: number;
  readonly log?: boolean;
  /** Charts with the same group share the line under the pointer. */
  readonly group?: string;
  /** What is shown of the axis. */
  readonly range: Range;
  /** Somebody dragged over a part, or double-clicked to see all. */
  readonly onRange: (range: Range | null) => void;
}

export function Plot(props: PlotProps) {
  const { name, x, series, height, log = false, group, range } = props;
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const look = series.map(({ label, color, width, dashed, marks }) => [label, color, width, dashed, marks].join());

  // Drawn anew when its look changes; data alone are only set.
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const drawn = new UPlot(optionsOf(element, latest), dataOf(latest.current), element);
    plot.current = drawn;
    const resize = new ResizeObserver(() => drawn.setSize({ width: element.clientWidth, height }));
    resize.observe(element);
    return () => {
      resize.disconnect();
      drawn.destroy();
    };
  }, [shownTheme.value, look.join(), x.label, height, log, group]);

  useEffect(() => {
    const drawn = plot.current;
    if (!drawn) return;
    drawn.setData(dataOf(props), false);
    drawn.setScale("x", { min: range.min, max: range.max });
  }, [x.values, series, range.min, range.max, shownTheme.value, look.join(), height, log, group]);

  return <div ref={box} class="plot" role="img" aria-label={name} />;
}

const dataOf = ({ x, series }: PlotProps): AlignedData => [
  x.values as number[],
  ...series.map(({ values }) => values as (number | null)[]),
];

function optionsOf(element: HTMLElement, latest: { readonly current: PlotProps }): Options {
  const { height, log, group, x, series } = latest.current;
  const style = getComputedStyle(element);
  const color = (name: string) => style.getPropertyValue(name).trim();
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
    axes: [axis, { ...axis, size: 60, values: (_plot, splits: (number | null)[]) => splits.map(tick) }],
    series: [
      { label: x.label, value: (_plot, at: number | null) => (at === null ? "–" : latest.current.x.format(at)) },
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
      const one = latest.current.series[index];
      return one ? one.format(value ?? (at === null ? null : valueNear(one.values, at))) : "–";
    },
  };
}

/** On a log scale, most lines have no number. */
function tick(value: number | null): string {
  if (value === null) return "";
  return value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(1) : String(Number(value.toPrecision(4)));
}
