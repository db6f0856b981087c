/**
 * An axis that can be dragged over, to keep the runs between two of its values. Each end is a slider for the keyboard. A click on
 * the axis shows all of it again.
 */
import { useRef } from "preact/hooks";
import { endsOf, rangeBetween, rangeInWords, type Axis, type Range } from "./axes.ts";
import { margins, type Layout } from "./layout.ts";

interface BrushProps {
  readonly axis: Axis;
  readonly index: number;
  readonly layout: Layout;
  readonly range: Range | undefined;
  readonly onRange: (range: Range | null, done: boolean) => void;
}

interface Drag {
  /** The end that does not move, as a place on the axis. */
  readonly anchor: number;
  readonly start: number;
  readonly byHandle: boolean;
  moved: boolean;
}

/** Room for the handle at each end, and half the width of the part that is touched. */
const end = 28;
const half = 14;
const clickPixels = 4;

export function Brush({ axis, index, layout, range, onRange }: BrushProps) {
  const drag = useRef<Drag | null>(null);
  const [low, high] = endsOf(axis, range);
  const stop = (at: number) => axis.stops[at];
  const [lowAt, highAt] = [stop(low)?.at ?? 0, stop(high)?.at ?? 1];
  const { upright, length } = layout;
  const along = (event: PointerEvent) => {
    const { left, top } = (event.currentTarget as HTMLElement).getBoundingClientRect();
    return upright ? event.clientY - top : event.clientX - left;
  };
  const atOf = (pixel: number) => clamp(upright ? 1 - (pixel - end) / length : (pixel - end) / length);
  const begin = (event: PointerEvent) => {
    if (axis.stops.length < 2 || event.button !== 0) return;
    const handle = (event.target as HTMLElement).dataset["end"];
    const start = along(event);
    // One end stays where it is.
    const anchor = handle === "low" ? highAt : handle === "high" ? lowAt : atOf(start);
    drag.current = { anchor, start, byHandle: handle !== undefined, moved: false };
    (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
  };
  const move = (event: PointerEvent) => {
    const now = drag.current;
    if (!now) return;
    now.moved ||= Math.abs(along(event) - now.start) > clickPixels;
    if (now.moved) onRange(rangeBetween(axis, now.anchor, atOf(along(event))), false);
  };
  const finish = (event: PointerEvent) => {
    const now = drag.current;
    drag.current = null;
    if (now?.moved) onRange(rangeBetween(axis, now.anchor, atOf(along(event))), true);
    else if (now?.byHandle === false) onRange(null, true);
  };
  const setEnd = (which: "low" | "high", to: number) => {
    const [from, until] = which === "low" ? [Math.min(to, high), high] : [low, Math.max(to, low)];
    const [first, last] = [stop(from), stop(until)];
    if (!first || !last) return;
    onRange(from === 0 && until === axis.stops.length - 1 ? null : { from: first.value, to: last.value }, true);
  };
  const handles = [
    { which: "low", value: low, at: lowAt, shift: -half },
    { which: "high", value: high, at: highAt, shift: half },
  ] as const;
  return (
    <div class={range === undefined ? "brush" : "brush narrowed"} style={placed(layout, index)}>
      <span class="axis-title" style={titlePlace(layout)}>
        {axis.title}
        {range !== undefined && <small>{rangeInWords(axis, range)}</small>}
      </span>
      <div
        class="band"
        onPointerDown={begin}
        onPointerMove={move}
        onPointerUp={finish}
        onPointerCancel={() => (drag.current = null)}
      >
        {range !== undefined && <span class="kept" style={spanOf(layout, lowAt, highAt)} />}
        {axis.stops.length > 1 &&
          handles.map(({ which, value, at, shift }) => (
            <span
              key={which}
              role="slider"
              tabIndex={0}
              class={`end ${which}`}
              data-end={which}
              style={
                upright ? { top: `${end + (1 - at) * length - shift}px` } : { left: `${end + at * length + shift}px` }
              }
              aria-label={`${axis.title}, ${which === "low" ? "first" : "last"} value shown`}
              aria-orientation={upright ? "vertical" : "horizontal"}
              aria-valuemin={0}
              aria-valuemax={axis.stops.length - 1}
              aria-valuenow={value}
              aria-valuetext={stop(value)?.label}
              onKeyDown={(event) => {
                const to = keyTarget(event.key, value, axis.stops.length);
                if (event.key === "Escape") onRange(null, true);
                if (to === null) return;
                event.preventDefault();
                setEnd(which, to);
              }}
            />
          ))}
      </div>
    </div>
  );
}

const clamp = (at: number) => Math.min(1, Math.max(0, at));

function keyTarget(key: string, value: number, count: number): number | null {
  const by = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 5, PageDown: -5 }[key];
  if (by !== undefined) return Math.min(count - 1, Math.max(0, value + by));
  if (key === "Home") return 0;
  return key === "End" ? count - 1 : null;
}

/** The band over an axis, with room at its ends. */
function placed({ upright, across, length }: Layout, index: number) {
  return upright
    ? {
        left: `${across(index) - half}px`,
        top: `${margins.top - end}px`,
        width: `${2 * half}px`,
        height: `${length + 2 * end}px`,
      }
    : {
        left: `${margins.side - end}px`,
        top: `${across(index) - half}px`,
        width: `${length + 2 * end}px`,
        height: `${2 * half}px`,
      };
}

function titlePlace({ upright, gap }: Layout) {
  return upright ? { width: `${Math.min(gap - 10, 2 * margins.right)}px` } : {};
}

function spanOf({ upright, length }: Layout, low: number, high: number) {
  const size = `${Math.max(2, (high - low) * length)}px`;
  return upright
    ? { top: `${end + (1 - high) * length}px`, height: size }
    : { left: `${end + low * length}px`, width: size };
}
