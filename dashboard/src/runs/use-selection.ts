/** Which runs are selected: one by one, from one to another, or all that are shown. */
import { useMemo, useRef, useState } from "preact/hooks";
import type { ListedRun } from "./use-runs.ts";

export interface Selection {
  readonly ids: ReadonlySet<string>;
  /** Those of them that are in the list. */
  readonly runs: readonly ListedRun[];
  /** @param through with all from the one that was changed last to this one */
  readonly toggle: (id: string, through: boolean) => void;
  /** All that are shown, or none if all are. */
  readonly toggleAll: () => void;
  readonly select: (ids: readonly string[]) => void;
}

export function useSelection(shown: readonly ListedRun[]): Selection {
  const [ids, setIds] = useState<ReadonlySet<string>>(new Set());
  const last = useRef<string>(undefined);
  const runs = useMemo(() => shown.filter(({ id }) => ids.has(id)), [shown, ids]);
  const toggle = (id: string, through: boolean) => {
    const [from, to] = [last.current, id].map((one) => shown.findIndex((run) => run.id === one));
    const range = through && from !== undefined && to !== undefined && from >= 0 && to >= 0;
    const changed = range ? shown.slice(Math.min(from, to), Math.max(from, to) + 1).map((run) => run.id) : [id];
    last.current = id;
    const next = new Set(ids);
    for (const one of changed)
      if (ids.has(id)) next.delete(one);
      else next.add(one);
    setIds(next);
  };
  return {
    ids,
    runs,
    toggle,
    toggleAll: () => setIds(new Set(runs.length === shown.length ? [] : shown.map(({ id }) => id))),
    select: (wanted) => setIds(new Set(wanted)),
  };
}
