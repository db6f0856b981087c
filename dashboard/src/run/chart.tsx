/** The loss chart: measured losses, their moving average, and the validation loss, drawn by uPlot on a canvas. */
import { useEffect, useRef, useState } from "preact/hooks";
import UPlot, { type AlignedData, type Options } from "uplot";
import type { ResultsFragment } from "./operations.ts";
import { formatCounted, formatInteger, formatLoss } from "../format.ts";
import { lastStep, smooth, smoothingWindow, stepCount, valueNear, type Point } from "./points.ts";

interface ChartProps {
  /** Changes in place; `version` increases with each change. */
  readonly points: readonly Point[];
  readonly version: number;
  readonly evaluations: ResultsFragment["evaluations"];
}

const height = () => (innerWidth < 600 ? 260 : 360);

export function Chart({ points, version, evaluations }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | null>(null);
  const data = useRef<AlignedData>([[], [], [], []]);
  const [zoomed, setZoomed] = useState<number | null>(null);
  const span = smoothingWindow(zoomed ?? stepCount(points));

  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const draw = () => {
      plot.current?.destroy();
      plot.current = new UPlot(chartOptions(element, setZoomed), data.current, element);
    };
    const resize = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: height() }));
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    draw();
    resize.observe(element);
    scheme.addEventListener("change", draw);
    return () => {
      scheme.removeEventListener("change", draw);
      resize.disconnect();
      plot.current?.destroy();
    };
  }, []);

  useEffect(() => {
    data.current = alignedData(points, smooth(points, span), evaluations);
    plot.current?.setData(data.current, zoomed === null);
    // Otherwise nothing is drawn.
    if (zoomed !== null) plot.current?.redraw();
  }, [version, evaluations, span]);

  const smoothed = smooth(points).at(-1);
  const text =
    points.length === 0
      ? "Loss chart, no steps yet"
      : `Loss chart, ${formatCounted(lastStep(points), "step")}, smoothed loss ${formatLoss(smoothed)}`;
  return (
    <figure class="chart">
      <div ref={box} role="img" aria-label={text} data-last-step={lastStep(points)} data-steps={stepCount(points)} />
      <figcaption>
        Loss in nats per scored token, by step; smoothed over {formatCounted(span, "step")}. Drag to zoom in;
        double-click to zoom out.
      </figcaption>
    </figure>
  );
}

/** All series on one axis of steps, in uPlot's format. */
function alignedData(
  points: readonly Point[],
  smoothed: readonly (number | null)[],
  evaluations: ResultsFragment["evaluations"],
): AlignedData {
  const rows = new Map<number, [number | null, number | null, number | null]>(
    points.map(({ step, loss }, index) => [step, [loss, smoothed[index] ?? null, null]]),
  );
  for (const { step, loss } of evaluations) {
    const [raw = null, average = null] = rows.get(step) ?? [];
    rows.set(step, [raw, average, loss]);
  }
  const steps = [...rows.keys()].toSorted((a, b) => a - b);
  const series = (index: 0 | 1 | 2) => steps.map((step) => rows.get(step)?.[index] ?? null);
  return [steps, series(0), series(1), series(2)];
}

/** @param onZoom gets how many steps are shown; null when all are */
function chartOptions(element: HTMLElement, onZoom: (steps: number | null) => void): Options {
  const style = getComputedStyle(element);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: color("--muted"),
    grid: { stroke: color("--line"), width: 1 },
    ticks: { stroke: color("--line") },
  };
  const value = (plot: UPlot, loss: number | null, series: number, index: number | null) =>
    formatLoss(loss ?? (index === null ? null : valueNear(plot.data[series] ?? [], index)));
  const zoom = (plot: UPlot) => {
    const { min, max } = plot.scales["x"] ?? {};
    const [first, last] = [plot.data[0][0], plot.data[0].at(-1)];
    if (min == null || max == null || first === undefined || last === undefined) return;
    onZoom(min > first || max < last ? max - min : null);
  };
  return {
    width: element.clientWidth,
    height: height(),
    scales: { x: { time: false } },
    cursor: { points: { size: 7 } },
    hooks: { setScale: [(plot, scale) => scale === "x" && zoom(plot)] },
    axes: [axis, { ...axis, size: 56 }],
    series: [
      { label: "Step", value: (_plot, step: number | null) => (step === null ? "–" : formatInteger(step)) },
      { label: "Loss", stroke: color("--series-raw"), width: 1, spanGaps: true, points: { show: false }, value },
      { label: "Smoothed", stroke: color("--series-1"), width: 2.5, spanGaps: true, points: { show: false }, value },
      {
        label: "Validation",
        stroke: color("--series-2"),
        width: 1.5,
        dash: [5, 4],
        spanGaps: true,
        points: { show: true, size: 9, fill: color("--series-2") },
        value,
      },
    ],
  };
}
