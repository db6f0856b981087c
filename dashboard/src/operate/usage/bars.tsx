/** Bars by day, in parts that lie on each other. The value under the pointer is written above; a table has all numbers. */
import { useState } from "preact/hooks";

export interface Bar {
  readonly day: string;
  /** From the bottom. */
  readonly parts: readonly number[];
}

interface BarsProps {
  readonly title: string;
  readonly total: string;
  /** What the parts of a bar are. */
  readonly parts: readonly string[];
  readonly bars: readonly Bar[];
  readonly format: (value: number) => string;
}

const [width, height] = [600, 140];
const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0);

export function Bars({ title, total, parts, bars, format }: BarsProps) {
  const [under, setUnder] = useState<Bar | null>(null);
  const highest = Math.max(...bars.map((bar) => sum(bar.parts)), 0);
  const step = width / Math.max(1, bars.length);
  const [first, last] = [bars[0]?.day ?? "", bars.at(-1)?.day ?? ""];
  const at = (event: PointerEvent & { currentTarget: SVGSVGElement }) => {
    const { left, width: shown } = event.currentTarget.getBoundingClientRect();
    setUnder(bars[Math.floor(((event.clientX - left) / shown) * bars.length)] ?? null);
  };
  return (
    <figure class="card bars">
      <figcaption>
        <h2>{title}</h2>
        <span>{under === null ? total : `${under.day}: ${wordsOf(under, parts, format)}`}</span>
      </figcaption>
      <svg
        viewBox={`0 0 ${width} ${height}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${title} by day, ${first} to ${last}: ${total}, at most ${format(highest)} a day`}
        onPointerMove={at}
        onPointerLeave={() => setUnder(null)}
      >
        {bars.map((bar, index) => (
          <Stack key={bar.day} bar={bar} x={index * step} step={step} highest={highest} />
        ))}
      </svg>
      <p class="axis">
        <span>{first}</span>
        <span>{highest > 0 && `highest ${format(highest)}`}</span>
        <span>{last}</span>
      </p>
      {parts.length > 1 && (
        <p class="legend">
          {parts.map((part, index) => (
            <span key={part} class={`series-${index + 1}`}>
              {part}
            </span>
          ))}
        </p>
      )}
    </figure>
  );
}

function wordsOf({ parts: values }: Bar, parts: readonly string[], format: (value: number) => string): string {
  return parts.length === 1
    ? format(values[0] ?? 0)
    : parts.map((part, index) => `${format(values[index] ?? 0)} ${part}`).join(", ");
}

function Stack({ bar, x, step, highest }: { bar: Bar; x: number; step: number; highest: number }) {
  const gap = Math.min(2, step * 0.2);
  let top = height;
  return (
    <g>
      {bar.parts.map((value, index) => {
        const tall = highest === 0 ? 0 : (value / highest) * (height - 4);
        top -= tall;
        return (
          <rect
            key={index}
            class={`series-${index + 1}`}
            x={x + gap / 2}
            y={top}
            width={Math.max(0.5, step - gap)}
            height={tall}
          />
        );
      })}
    </g>
  );
}
