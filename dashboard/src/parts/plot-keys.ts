/** A chart by keys: arrows go from value to value, with Shift they move the part that is shown; + - 0 zoom. */
import UPlot from "uplot";
import { closer, moved, stride, zoomed, type Range } from "./zoom.ts";

export interface Keyed {
  readonly plot: UPlot;
  readonly range: Range;
  readonly whole: Range;
  readonly group: string | undefined;
  readonly onRange: (range: Range | null) => void;
}

export const plotKeys = "ArrowLeft ArrowRight Shift+ArrowLeft Shift+ArrowRight + - 0";

/** @returns whether the key was for the chart */
export function pressed({ key, shiftKey }: KeyboardEvent, keyed: Keyed): boolean {
  const { plot, range, whole, onRange } = keyed;
  const about = plot.data[0][plot.cursor.idx ?? -1];
  const zoom = (factor: number) => onRange(zoomed(range, whole, factor, about));
  const direction = key === "ArrowLeft" ? -1 : 1;
  if (key === "+" || key === "=") zoom(closer);
  else if (key === "-") zoom(1 / closer);
  else if (key === "0") onRange(null);
  else if (key !== "ArrowLeft" && key !== "ArrowRight") return false;
  else if (shiftKey) onRange(moved(range, whole, direction * stride));
  else step(keyed, direction);
  return true;
}

/** The line to the next value of any series; at first to the last one that is shown. */
function step({ plot, range, group }: Keyed, direction: 1 | -1): void {
  const [xs] = plot.data;
  const last = lastIn(xs, range);
  const before = plot.cursor.idx;
  const next = before == null ? last : before + direction;
  const x = xs[next];
  if (x === undefined || x < range.min || x > range.max) return;
  const { clientWidth: width, clientHeight: height } = plot.over;
  const [left, top] = [plot.valToPos(x, "x"), height / 2];
  plot.setCursor({ left, top });
  if (group !== undefined) UPlot.sync(group).pub("mousemove", plot, left, top, width, height, next);
}

/** Index of the last value that is shown: there is always one. */
export function lastIn(xs: ArrayLike<number>, { max }: Range): number {
  let at = xs.length - 1;
  while (at > 0 && (xs[at] ?? 0) > max) at -= 1;
  return at;
}
