/** j and k move the focus from row to row, x selects the row that has it. Enter opens it, as any link. */
import { useRef } from "preact/hooks";
import { useShortcuts } from "../keys.ts";
import type { Selection } from "./use-selection.ts";
import type { ListedRun } from "./use-runs.ts";

export function useRowKeys(
  runs: readonly ListedRun[],
  scrollTo: (index: number) => void,
  toggle: Selection["toggle"],
): void {
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
  const select = (through: boolean) => {
    const run = runs[current()];
    if (run) toggle(run.id, through);
  };
  useShortcuts([
    { keys: "j", does: "Go to the next run", run: () => move(1) },
    { keys: "k", does: "Go to the run before", run: () => move(-1) },
    { keys: "x", does: "Select the run, or clear its selection", run: () => select(false) },
    { keys: "X", does: "The same from the run before that to this one", run: () => select(true) },
  ]);
}

function focusRow(index: number): boolean {
  const link = document.querySelector<HTMLElement>(`.runs tr[data-index="${index}"] th a`);
  link?.focus({ preventScroll: true });
  return link !== null;
}
