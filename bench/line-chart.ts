/** Charts of lines as SVG, one below the other: means with a band of their spread, and horizontal lines to compare with. */
import { chartOf, textAt } from "./svg.ts";

export interface Line {
  readonly name: string;
  readonly points: readonly LinePoint[];
}

export interface LinePoint {
  readonly x: number;
  readonly y: number;
  /** The band reaches so far on both sides. */
  readonly spread: number;
}

export interface Panel {
  readonly title: string;
  /** Below the axis. */
  readonly xName: string;
  readonly lines: readonly Line[];
  readonly levels: readonly Level[];
}

export interface Level {
  readonly name: string;
  readonly y: number;
}

const width = 760;
const plot = { left: 52, right: 744, height: 280 };
const [titleHeight, axisHeight, keyHeight] = [36, 44, 20];

/** Eight colours, of which neighbours differ for colour-blind readers too; light and dark pages have their own shades. */
const light = ["#0969da", "#bc4c00", "#1a7f64", "#8250df", "#9a6700", "#cf222e", "#57606a", "#bf3989"];
const dark = ["#58a6ff", "#f0883e", "#3fb68b", "#bc8cff", "#d29922", "#ff7b72", "#8b949e", "#f778ba"];

const style = `
  .line { fill: none; stroke-width: 2; }
  .band { stroke: none; fill-opacity: 0.15; }
  .grid { stroke: #8c959f; stroke-opacity: 0.3; }
  .level { stroke: #57606a; stroke-dasharray: 5 4; }
  .right { text-anchor: end; }
  .middle { text-anchor: middle; }
${shades(light)}
  @media (prefers-color-scheme: dark) {
    .level { stroke: #8b949e; }
${shades(dark)}
  }`;

function shades(colours: readonly string[]): string {
  return colours
    .map((colour, i) => `  .line.c${i} { stroke: ${colour}; } .band.c${i}, .dot.c${i} { fill: ${colour}; }`)
    .join("\n");
}

/** The x axis is logarithmic, y counts percent. */
export function lineCharts(title: string, panels: readonly Panel[]): string {
  const parts: string[] = [];
  let y = 0;
  for (const panel of panels) {
    parts.push(...panelAt(y, panel));
    y += titleHeight + plot.height + axisHeight + keyHeight * Math.ceil(panel.lines.length / 2) + 12;
  }
  return chartOf({ title, width, height: y, style, parts });
}

interface Scales {
  readonly x: (value: number) => number;
  readonly y: (value: number) => number;
  readonly xTicks: readonly number[];
  readonly yTicks: readonly number[];
  /** The least percentage that is shown. */
  readonly floor: number;
}

function panelAt(top: number, panel: Panel): string[] {
  const scales = scalesOf(top + titleHeight, panel);
  const bottom = top + titleHeight + plot.height;
  return [
    textAt(plot.left, top + titleHeight - 14, panel.title, "title"),
    ...grid(scales, bottom),
    ...levelsAt(scales, panel.levels),
    ...panel.lines.map((line, i) => lineOf(scales, line, i)),
    textAt((plot.left + plot.right) / 2, bottom + 36, panel.xName, "middle"),
    ...panel.lines.map((line, i) => keyAt(bottom + axisHeight, line.name, i)),
  ];
}

function scalesOf(top: number, { lines, levels }: Panel): Scales {
  const points = lines.flatMap((line) => line.points);
  const [least, most] = [Math.min(...points.map(({ x }) => x)), Math.max(...points.map(({ x }) => x))];
  const lowest = Math.min(100, ...points.map(({ y }) => y), ...levels.map(({ y }) => y));
  const floor = Math.max(0, 10 * Math.floor(lowest / 10));
  const share = (x: number) => (most > least ? Math.log(x / least) / Math.log(most / least) : 0.5);
  return {
    x: (value) => plot.left + (plot.right - plot.left) * share(value),
    y: (value) => top + (plot.height * (100 - value)) / (100 - floor),
    floor,
    xTicks: logTicks(least, most),
    yTicks: Array.from({ length: (100 - floor) / 10 + 1 }, (_, i) => floor + 10 * i),
  };
}

/** 1, 2 and 5 times powers of ten. */
function logTicks(least: number, most: number): number[] {
  const powers = Array.from({ length: 16 }, (_, i) => 10 ** (i - 4));
  return powers.flatMap((power) => [power, 2 * power, 5 * power]).filter((tick) => tick >= least && tick <= most);
}

function grid({ x, y, xTicks, yTicks }: Scales, bottom: number): string[] {
  const across = yTicks.flatMap((tick) => [
    segment("grid", [plot.left, y(tick)], [plot.right, y(tick)]),
    textAt(plot.left - 6, y(tick) + 4, `${tick} %`, "right"),
  ]);
  const down = xTicks.flatMap((tick) => [
    segment("grid", [x(tick), y(100)], [x(tick), bottom]),
    textAt(x(tick), bottom + 17, tick.toLocaleString("en"), "middle"),
  ]);
  return [...across, ...down];
}

/** Levels that are close to each other share a label. */
function levelsAt({ y }: Scales, levels: readonly Level[]): string[] {
  const labels: { at: number; names: string[] }[] = [];
  for (const { name, y: value } of levels.toSorted((a, b) => b.y - a.y)) {
    const last = labels.at(-1);
    if (last && y(value) - last.at < 16) last.names.push(name);
    else labels.push({ at: y(value), names: [name] });
  }
  return [
    ...levels.map(({ y: value }) => segment("level", [plot.left, y(value)], [plot.right, y(value)])),
    ...labels.map(({ at, names }) => textAt(plot.right, at - 4, names.join(", "), "right")),
  ];
}

function lineOf({ x, y, floor }: Scales, { points }: Line, index: number): string {
  const at = (by: (point: LinePoint) => number) =>
    points.map((point) => `${x(point.x).toFixed(1)},${y(by(point)).toFixed(1)}`);
  const above = at(({ y: middle, spread }) => Math.min(100, middle + spread));
  const below = at(({ y: middle, spread }) => Math.max(floor, middle - spread)).toReversed();
  const [only, ...others] = points;
  const dot = only && others.length === 0 ? [dotAt([x(only.x), y(only.y)], index)] : [];
  return [
    `<polygon class="band c${index % light.length}" points="${[...above, ...below].join(" ")}"/>`,
    `<polyline class="line c${index % light.length}" points="${at(({ y: middle }) => middle).join(" ")}"/>`,
    ...dot,
  ].join("\n");
}

/** A line of one point would not be seen. */
function dotAt([x, y]: Place, index: number): string {
  return `<circle class="dot c${index % light.length}" cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="4"/>`;
}

/** Two names a row. */
function keyAt(top: number, name: string, index: number): string {
  const x = index % 2 === 0 ? plot.left : width / 2;
  const y = top + keyHeight * (Math.floor(index / 2) + 0.5);
  const stroke = segment(`line c${index % light.length}`, [x, y], [x + 24, y]);
  return [stroke, textAt(x + 32, y + 4, name)].join("\n");
}

type Place = readonly [x: number, y: number];

function segment(kind: string, [x1, y1]: Place, [x2, y2]: Place): string {
  const [a, b, c, d] = [x1, y1, x2, y2].map((value) => value.toFixed(1));
  return `<line class="${kind}" x1="${a}" y1="${b}" x2="${c}" y2="${d}"/>`;
}
