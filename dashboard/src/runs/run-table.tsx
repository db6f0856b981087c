/**
 * The table of runs: only the rows in sight and some around them are in the document. On a phone each is a card. A list of ten
 * thousand stays smooth, since scrolling draws nothing but the rows that come.
 */
import { useWindowVirtualizer, type Range } from "@tanstack/react-virtual";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { isFinal } from "../parts/status.tsx";
import { toldApart } from "../parts/told-apart.ts";
import type { Listing } from "./filter.ts";
import { useRowKeys } from "./row-keys.ts";
import { RunHead } from "./run-head.tsx";
import { ageOf, Row } from "./run-row.tsx";
import { useSparks } from "./sparks.tsx";
import type { Runs } from "./use-runs.ts";
import type { Selection } from "./use-selection.ts";

interface TableProps {
  readonly list: Runs;
  readonly listing: Listing;
  readonly selection: Selection;
  readonly onOrder: (order: Pick<Listing, "sort" | "reverse">) => void;
}

/** Until a row was measured. */
const rowPixels = 39;
/** Rows come and go so many at once: one by one, each would have the tile of the screen that it is in drawn anew. */
const batch = 4;
/** More is read as soon as so few rows are left below those in the document. */
const readAhead = 25;

export function RunTable({ list, listing, selection, onOrder }: TableProps) {
  const { runs, total, hasMore, loadMore, watch } = list;
  const table = useRef<HTMLTableElement>(null);
  const [top, setTop] = useState(0);
  useLayoutEffect(() => setTop(table.current?.offsetTop ?? 0), []);
  const usual = useRef<number>(undefined);
  const rows = useWindowVirtualizer({
    count: runs.length,
    // Of the first row, so that few of the others need to be moved when they are measured.
    estimateSize: () => usual.current ?? rowPixels,
    rangeExtractor: inBatches,
    measureElement: heightOf,
    scrollMargin: top,
    getItemKey: (index) => runs[index]?.id ?? index,
  });
  const measure = useCallback((row: HTMLElement | null) => {
    if (row) usual.current ??= heightOf(row);
    rows.measureElement(row);
  }, []);
  const items = rows.getVirtualItems();
  const shown = items.flatMap(({ index }) => runs[index] ?? []);
  const ids = shown.map(({ id }) => id);
  const called = useMemo(() => toldApart(runs), [runs]);
  const losses = useSparks(ids, new Set(shown.filter(({ status }) => !isFinal(status)).map(({ id }) => id)));
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => watch(ids), [ids.join()]);
  useEffect(() => {
    if (hasMore && last >= runs.length - readAhead) loadMore();
  }, [last, runs.length, hasMore]);
  const newest = useRef(selection.toggle);
  newest.current = selection.toggle;
  const onToggle = useCallback((id: string, through: boolean) => newest.current(id, through), []);
  useRowKeys(runs, (index) => rows.scrollToIndex(index), selection.toggle);

  const above = (items[0]?.start ?? top) - top;
  const below = rows.getTotalSize() - ((items.at(-1)?.end ?? top) - top);
  return (
    <div class="run-list">
      <table
        ref={table}
        class={rows.isScrolling ? "runs stacking moving" : "runs stacking"}
        aria-label="Runs"
        aria-rowcount={total ?? -1}
      >
        <RunHead listing={listing} selection={selection} shown={runs.length} onOrder={onOrder} />
        <tbody>
          <Spacer pixels={above} />
          {items.map(({ index }) => {
            const run = runs[index];
            return (
              run && (
                <Row
                  key={run.id}
                  run={run}
                  called={called.get(run.id) ?? run.name}
                  index={index}
                  sort={listing.sort}
                  age={ageOf(run, listing.sort)}
                  losses={losses.get(run.id)}
                  selected={selection.ids.has(run.id)}
                  measure={measure}
                  onToggle={onToggle}
                />
              )
            );
          })}
          <Spacer pixels={below} />
        </tbody>
      </table>
    </div>
  );
}

/** To a fraction of a pixel: else the rows in sight would move by it, and be drawn anew, whenever others come. */
const heightOf = (row: Element) => row.getBoundingClientRect().height;

/** The indexes of whole batches: those in sight, and one more on each side. */
function inBatches({ startIndex, endIndex, count }: Range): number[] {
  const first = Math.max(0, (Math.floor(startIndex / batch) - 1) * batch);
  const end = Math.min(count, (Math.floor(endIndex / batch) + 2) * batch);
  return Array.from({ length: end - first }, (_, at) => first + at);
}

/** Stands for the rows that are out of sight. */
function Spacer({ pixels }: { pixels: number }) {
  return pixels > 0 ? <tr aria-hidden="true" class="spacer" style={{ height: `${pixels}px` }} /> : null;
}
