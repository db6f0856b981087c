/** Keyboard shortcuts: single keys, and "g" followed by one. They rest while somebody types or a dialog is open. */
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

export interface Shortcut {
  /** As KeyboardEvent.key has it, such as "j" or "Enter"; "g r" for two in a row. */
  readonly keys: string;
  readonly does: string;
  readonly run: () => void;
}

/** Those of the parts that are shown now, for the list that "?" opens. */
export const shortcuts = signal<readonly Shortcut[]>([]);
const withinMs = 1_000;
let first: { key: string; at: number } | null = null;

/** @param list may be another at each call; only its keys and words decide whether it is listed anew */
export function useShortcuts(list: readonly Shortcut[]): void {
  const current = useRef(list);
  current.current = list;
  useEffect(() => {
    const mine = list.map(({ keys, does }) => ({
      keys,
      does,
      run: () => current.current.find((one) => one.keys === keys)?.run(),
    }));
    shortcuts.value = [...shortcuts.value, ...mine];
    return () => {
      shortcuts.value = shortcuts.value.filter((one) => !mine.includes(one));
    };
  }, [list.map(({ keys, does }) => `${keys} ${does}`).join("\n")]);
}

export function listenToKeys(): void {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isBusy(event)) return;
    const pair = first !== null && event.timeStamp - first.at < withinMs ? `${first.key} ${event.key}` : null;
    first = event.key === "g" ? { key: "g", at: event.timeStamp } : null;
    // The part that was shown last has its way.
    const found = shortcuts.value.findLast(({ keys }) => keys === pair || keys === event.key);
    if (!found) return;
    event.preventDefault();
    found.run();
  });
}

function isBusy({ key, target }: KeyboardEvent): boolean {
  if (document.querySelector("dialog[open]")) return true;
  if (!(target instanceof HTMLElement)) return false;
  const presses = key === "Enter" && target.matches("a, button, summary");
  return presses || target.isContentEditable || target.matches("input:not([type=checkbox]), textarea, select");
}
