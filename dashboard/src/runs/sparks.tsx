/** The course of a run's loss, as a line of the height of text. All lines on the screen are asked for at once. */
import { useEffect, useState } from "preact/hooks";
import { quietly } from "../api/failure.ts";
import { ask } from "../api/query.ts";
import { sparks } from "./operations.ts";

const refreshMs = 5_000;
const [width, height] = [72, 20];

type Losses = readonly number[];

/** Losses of the runs on the screen; those of `open` runs are read again. A failure is the list's to show. */
export function useSparks(shown: readonly string[], open: ReadonlySet<string>): ReadonlyMap<string, Losses> {
  const [known, setKnown] = useState<ReadonlyMap<string, Losses>>(new Map());
  const missing = shown.filter((id) => !known.has(id));
  const read = (ids: readonly string[]) => {
    if (ids.length === 0) return;
    ask(sparks, { ids })
      .then(({ nodes }) => {
        const found = nodes.flatMap((one) =>
          one !== null && "id" in one ? [[one.id, lossesOf(one.chart)] as const] : [],
        );
        setKnown((before) => new Map([...before, ...found]));
      })
      .catch(quietly);
  };
  useEffect(() => {
    // While one scrolls past, nothing is asked.
    const timer = setTimeout(() => read(missing), 100);
    return () => clearTimeout(timer);
  }, [missing.join()]);
  const again = shown.filter((id) => open.has(id));
  useEffect(() => {
    const timer = setInterval(() => !document.hidden && read(again), refreshMs);
    return () => clearInterval(timer);
  }, [again.join()]);
  return known;
}

const lossesOf = (chart: readonly { readonly loss: number | null }[]) =>
  chart.flatMap(({ loss }) => (loss === null ? [] : [loss]));

/** The number beside it says what the line shows. */
export function Spark({ losses }: { losses: Losses | undefined }) {
  if (losses === undefined || losses.length < 2)
    return <svg class="spark" width={width} height={height} aria-hidden="true" />;
  const [low, high] = [Math.min(...losses), Math.max(...losses)];
  const points = losses.map((loss, index) => {
    const x = (index / (losses.length - 1)) * (width - 2) + 1;
    const y = high > low ? ((high - loss) / (high - low)) * (height - 4) + 2 : height / 2;
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  });
  return (
    <svg class="spark" width={width} height={height} aria-hidden="true">
      <polyline points={points.join(" ")} fill="none" stroke="var(--series-1)" stroke-width="1.5" />
    </svg>
  );
}
