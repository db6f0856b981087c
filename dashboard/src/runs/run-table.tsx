/** The table of runs: only the rows in sight are in the document. On a phone each is a card. */
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { runPath } from "../base.ts";
import { formatAgo, formatDuration, formatInteger, formatLoss, formatShare, formatTime } from "../format.ts";
import { useShortcuts } from "../keys.ts";
import { isFinal, Progress, Status } from "../parts/status.tsx";
import { Spark, useSparks } from "./sparks.tsx";
import type { ListedRun, Runs } from "./use-runs.ts";

interface TableProps {
  readonly list: Runs;
  readonly selected: ReadonlySet<string>;
  readonly onSelect: (ids: ReadonlySet<string>) => void;
}

const columns = ["Name", "Status", "Progress", "Loss", "Best", "Base model", "Created"];
const rowPixels = 49;

export function RunTable({ list, selected, onSelect }: TableProps) {
  const { runs, total, hasMore, loadMore, watch } = list;
  const table = useRef<HTMLTableElement>(null);
  const [top, setTop] = useState(0);
  useLayoutEffect(() => setTop(table.current?.offsetTop ?? 0), []);
  const rows = useWindowVirtualizer({
    count: runs.length,
    estimateSize: () => rowPixels,
    overscan: 6,
    scrollMargin: top,
    getItemKey: (index) => runs[index]?.id ?? index,
  });
  const items = rows.getVirtualItems();
  const shown = items.flatMap(({ index }) => runs[index] ?? []);
  const ids = shown.map(({ id }) => id);
  const losses = useSparks(ids, new Set(shown.filter(({ status }) => !isFinal(status)).map(({ id }) => id)));
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => watch(ids), [ids.join()]);
  useEffect(() => {
    if (hasMore && last >= runs.length - 10) loadMore();
  }, [last, runs.length, hasMore]);
  const toggle = (id: string) => {
    const next = new Set(selected);
    if (!next.delete(id)) next.add(id);
    onSelect(next);
  };
  useRowKeys(runs, (index) => rows.scrollToIndex(index), toggle);

  const above = (items[0]?.start ?? top) - top;
  const below = rows.getTotalSize() - ((items.at(-1)?.end ?? top) - top);
  return (
    <table ref={table} class="runs stacking card" aria-label="Runs" aria-rowcount={total ?? -1}>
      <thead>
        <tr>
          <th scope="col">
            <span class="hidden">Selected</span>
          </th>
          {columns.map((title) => (
            <th key={title} scope="col">
              {title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        <Spacer pixels={above} />
        {items.map(({ index }) => {
          const run = runs[index];
          return (
            run && (
              <Row
                key={run.id}
                run={run}
                index={index}
                measure={rows.measureElement}
                losses={losses.get(run.id)}
                selected={selected.has(run.id)}
                onToggle={() => toggle(run.id)}
              />
            )
          );
        })}
        <Spacer pixels={below} />
      </tbody>
    </table>
  );
}

/** Stands for the rows that are out of sight. */
function Spacer({ pixels }: { pixels: number }) {
  return pixels > 0 ? <tr aria-hidden="true" class="spacer" style={{ height: `${pixels}px` }} /> : null;
}

interface RowProps {
  readonly run: ListedRun;
  readonly index: number;
  readonly measure: (element: HTMLElement | null) => void;
  readonly losses: readonly number[] | undefined;
  readonly selected: boolean;
  readonly onToggle: () => void;
}

function Row({ run, index, measure, losses, selected, onToggle }: RowProps) {
  return (
    <tr ref={measure} data-index={index} data-id={run.id} aria-rowindex={index + 2} class={selected ? "selected" : ""}>
      <td class="choice">
        <input type="checkbox" checked={selected} onChange={onToggle} aria-label={`Select ${run.name}`} />
      </td>
      <th scope="row">
        <a href={runPath(run.id)} title={run.name}>
          {run.name}
        </a>
        {run.tags.map((tag) => (
          <span key={tag} class="tag">
            {tag}
          </span>
        ))}
      </th>
      <td data-label="Status">
        <Status run={run} />
      </td>
      <td data-label="Progress">
        {run.status === "FAILED" && run.error ? (
          <span class="cut" title={run.error.message}>
            {run.error.message}
          </span>
        ) : (
          <ProgressCell run={run} />
        )}
      </td>
      <td data-label="Loss" class="number">
        <Spark losses={losses} /> {formatLoss(run.loss)}
      </td>
      <td data-label="Best" class="number">
        {bestOf(run)}
      </td>
      <td data-label="Base model">
        <span class="cut" title={run.baseModel.name}>
          {run.baseModel.name}
        </span>
      </td>
      <td data-label="Created">
        <time dateTime={run.createdAt} title={formatTime(run.createdAt)}>
          {formatAgo(run.createdAt)}
        </time>
      </td>
    </tr>
  );
}

function ProgressCell({ run }: { run: ListedRun }) {
  const left =
    isFinal(run.status) || run.estimatedSecondsLeft === null ? null : formatDuration(run.estimatedSecondsLeft);
  const ahead =
    run.queuePosition === null || run.queuePosition === 0 ? null : `${formatInteger(run.queuePosition)} ahead`;
  const notes = [ahead, left === null ? null : `${left} left`].filter((note) => note !== null);
  return (
    <>
      <Progress run={run} />
      {notes.length > 0 && <small class="muted">{notes.join(", ")}</small>}
    </>
  );
}

/** By what the run judges its checkpoints, as far as it was measured. */
function bestOf({ bestEvaluation }: ListedRun): string {
  if (bestEvaluation === null) return formatLoss(null);
  const { accuracy, f1, loss } = bestEvaluation;
  return accuracy !== null || f1 !== null ? formatShare(f1 ?? accuracy) : formatLoss(loss);
}

/** j and k move the focus from row to row, x selects the row that has it. Enter opens it, as any link. */
function useRowKeys(runs: readonly ListedRun[], scrollTo: (index: number) => void, toggle: (id: string) => void): void {
  const reached = useRef(-1);
  const current = () => {
    const id = document.activeElement?.closest("tr")?.dataset["id"];
    return id === undefined ? reached.current : runs.findIndex((run) => run.id === id);
  };
  const move = (by: number) => {
    const index = Math.min(runs.length - 1, Math.max(0, current() + by));
    reached.current = index;
    scrollTo(index);
    // A row that was out of sight is there a frame later.
    if (!focusRow(index)) requestAnimationFrame(() => focusRow(index));
  };
  useShortcuts([
    { keys: "j", does: "Go to the next run", run: () => move(1) },
    { keys: "k", does: "Go to the run before", run: () => move(-1) },
    {
      keys: "x",
      does: "Select the run, or no longer",
      run: () => {
        const run = runs[current()];
        if (run) toggle(run.id);
      },
    },
  ]);
}

function focusRow(index: number): boolean {
  const link = document.querySelector<HTMLElement>(`.runs tr[data-index="${index}"] th a`);
  link?.focus({ preventScroll: true });
  return link !== null;
}
