/** Zoom by buttons and numbers, for those who cannot drag. The charts have the same by keys. */
import { closer, moved, stride, zoomed, type Range } from "./zoom.ts";

interface ZoomBarProps {
  /** What is shown; null for all of it. */
  readonly range: Range | null;
  readonly whole: Range;
  /** What the axis counts: "steps". */
  readonly axis: string;
  readonly onRange: (range: Range | null) => void;
}

export function ZoomBar({ range, whole, axis, onRange }: ZoomBarProps) {
  const shown = range ?? whole;
  const acts = [
    { sign: "+", name: "Zoom in", to: () => zoomed(shown, whole, closer), off: false },
    { sign: "−", name: "Zoom out", to: () => zoomed(shown, whole, 1 / closer), off: range === null },
    { sign: "←", name: "Show what is before", to: () => moved(shown, whole, -stride), off: shown.min <= whole.min },
    { sign: "→", name: "Show what is after", to: () => moved(shown, whole, stride), off: shown.max >= whole.max },
  ];
  const put = (change: Partial<Range>) => {
    const next = { ...shown, ...change };
    if (next.min < next.max) onRange(next);
  };
  return (
    <div class="zoom" role="group" aria-label={`Which ${axis} the charts show`}>
      {acts.map(({ sign, name, to, off }) => (
        <button key={name} type="button" aria-label={name} title={name} disabled={off} onClick={() => onRange(to())}>
          {sign}
        </button>
      ))}
      <End name="From" value={shown.min} onValue={(min) => put({ min })} />
      <End name="to" value={shown.max} onValue={(max) => put({ max })} />
      {range !== null && (
        <button type="button" onClick={() => onRange(null)}>
          Show all {axis}
        </button>
      )}
    </div>
  );
}

function End({ name, value, onValue }: { name: string; value: number; onValue: (value: number) => void }) {
  return (
    <label>
      {name}
      <input
        type="number"
        step="any"
        value={Math.round(value)}
        onChange={({ currentTarget }) => {
          const given = currentTarget.valueAsNumber;
          // What cannot be shown goes back to what is.
          if (Number.isFinite(given)) onValue(given);
          currentTarget.value = String(Math.round(value));
        }}
      />
    </label>
  );
}
