/**
 * Parallel coordinates: an axis for each setting that varies and one for the metric, a line for each run. Dragging along an axis
 * keeps the runs within. The table has the same numbers for those who do not see the lines.
 */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { formatCounted } from "../format.ts";
import { isKept, placeOf, type Axis, type Filters, type Range } from "./axes.ts";
import { Brush } from "./brush.tsx";
import { anchorOf, apart, layoutOf, type Layout } from "./layout.ts";
import { byMetric, type Metric, type SweptRun } from "./metric.ts";

interface ParallelProps {
  readonly axes: readonly Axis[];
  readonly runs: readonly SweptRun[];
  readonly metric: Metric;
  readonly filters: Filters;
  /** Null shows the whole axis. `done`: nobody drags any more. */
  readonly onRange: (key: string, range: Range | null, done: boolean) => void;
  /** The run that is looked at, here or in the table. */
  readonly pointed: string | null;
  readonly onPoint: (id: string | null) => void;
  readonly onOpen: (id: string) => void;
}

export function Parallel({ axes, runs, metric, filters, onRange, pointed, onPoint, onOpen }: ParallelProps) {
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const layout = layoutOf(axes.length, width);
  const lines = useMemo(() => linesOf(axes, runs, metric, layout), [axes, runs, metric, width]);
  const classOf = ({ run, best }: Line) =>
    [
      "run-line",
      !isKept(axes, filters, run) && "left-out",
      best && "best",
      pointed !== null && (run.id === pointed ? "pointed" : "unpointed"),
    ]
      .filter(Boolean)
      .join(" ");
  const names = axes.map(({ title }) => title).join(", ");
  return (
    <div
      ref={box}
      class={layout.upright ? "parallel" : "parallel lying"}
      role="group"
      aria-label={`Parallel coordinates of ${formatCounted(runs.length, "run")}: ${names}`}
      style={{ height: `${layout.height}px` }}
    >
      {width > 0 && (
        <>
          <svg width={layout.width} height={layout.height} aria-hidden="true" onPointerLeave={() => onPoint(null)}>
            {axes.map((axis, index) => (
              <AxisLine key={axis.key} layout={layout} index={index} />
            ))}
            {lines.map((line) => (
              <g key={line.run.id} class={classOf(line)} style={{ "--share": `${line.share * 100}%` }}>
                <polyline points={line.points} class="drawn" />
                <polyline
                  points={line.points}
                  class="touched"
                  data-run={line.run.id}
                  onPointerEnter={() => onPoint(line.run.id)}
                  onClick={() => onOpen(line.run.id)}
                />
              </g>
            ))}
            {axes.map((axis, index) => (
              <Ticks key={axis.key} axis={axis} index={index} isLast={index === axes.length - 1} layout={layout} />
            ))}
          </svg>
          {axes.map((axis, index) => (
            <Brush
              key={axis.key}
              axis={axis}
              index={index}
              layout={layout}
              range={filters.get(axis.key)}
              onRange={(range, done) => onRange(axis.key, range, done)}
            />
          ))}
        </>
      )}
    </div>
  );
}

/** Of an element, as it changes; 0 before it is there. */
function useWidth(box: { readonly current: HTMLElement | null }): number {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const resize = new ResizeObserver(() => setWidth(element.clientWidth));
    resize.observe(element);
    return () => resize.disconnect();
  }, []);
  return width;
}

interface Line {
  readonly run: SweptRun;
  readonly points: string;
  /** How good it is among those that are measured, from 0 to 1. */
  readonly share: number;
  readonly best: boolean;
}

/** The best last, so that it lies over the others. A line ends where its run has no value yet. */
function linesOf(axes: readonly Axis[], runs: readonly SweptRun[], metric: Metric, layout: Layout): Line[] {
  const measured = byMetric(runs, metric).filter((run) => metric.of(run) !== null);
  const rank = new Map(measured.map((run, index) => [run.id, index]));
  const lines = runs.map((run) => {
    const at = rank.get(run.id);
    const points = axes.flatMap((axis, index) => {
      const place = placeOf(axis, run);
      return place === null
        ? []
        : [
            layout
              .point(index, place)
              .map((pixel) => pixel.toFixed(1))
              .join(),
          ];
    });
    return {
      run,
      points: points.join(" "),
      share: at === undefined ? 0 : 1 - at / Math.max(1, measured.length - 1),
      best: at === 0 && measured.length > 1,
    };
  });
  return lines.toSorted((a, b) => a.share - b.share || Number(a.best) - Number(b.best));
}

function AxisLine({ layout, index }: { layout: Layout; index: number }) {
  const [[x1, y1], [x2, y2]] = [layout.point(index, 0), layout.point(index, 1)];
  return <line class="axis" x1={x1} y1={y1} x2={x2} y2={y2} />;
}

interface TicksProps {
  readonly axis: Axis;
  readonly index: number;
  readonly isLast: boolean;
  readonly layout: Layout;
}

/** Beside the axis, away from the middle; below it where it lies. */
function Ticks({ axis, index, isLast, layout }: TicksProps) {
  const beside = isLast ? 14 : -14;
  return (
    <g class="ticks">
      {apart(axis.ticks, layout).map(({ at, label }) => {
        const [x, y] = layout.point(index, at);
        return layout.upright ? (
          <text key={label} x={x + beside} y={y + 4} text-anchor={isLast ? "start" : "end"}>
            {label}
          </text>
        ) : (
          <text key={label} x={x} y={y + 28} text-anchor={anchorOf(at)}>
            {label}
          </text>
        );
      })}
    </g>
  );
}
