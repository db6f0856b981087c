/**
 * The runs of a listing, page by page as the reader scrolls, kept up to date while the page is visible. What is on the
 * screen changes in place. Runs that are new go to the top only while the reader is there; otherwise `newer` says so.
 */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { heard } from "../api/connection.ts";
import { asFailure, type Failure } from "../api/failure.ts";
import { ask } from "../api/query.ts";
import { isFinal } from "../parts/status.tsx";
import { filterOf, type Listing } from "./filter.ts";
import { listFineTunes, shownRuns, type ListedRunFragment } from "./operations.ts";

export type ListedRun = ListedRunFragment;

export interface Runs {
  readonly runs: readonly ListedRun[];
  /** Of the whole listing; null until it is known. */
  readonly total: number | null;
  readonly hasMore: boolean;
  readonly newer: boolean;
  readonly failure: Failure | null;
  readonly loadMore: () => void;
  /** Reads the listing again from its start. */
  readonly reload: () => void;
  /** What has just been changed of runs is in the list before it is read again. */
  readonly change: (changed: readonly Changed[]) => void;
  /** Tells which runs are on the screen. */
  readonly watch: (ids: readonly string[]) => void;
}

type Changed = Partial<ListedRun> & Pick<ListedRun, "id">;

const pageSize = 50;
const refreshMs = 2_000;
/** Up to this many pixels from its start, the reader is at the top of the list. */
const topPixels = 200;

interface State {
  readonly ids: readonly string[];
  readonly byId: ReadonlyMap<string, ListedRun>;
  readonly total: number | null;
  readonly next: string | null;
  readonly newer: boolean;
  readonly failure: Failure | null;
}

const nothing: State = { ids: [], byId: new Map(), total: null, next: null, newer: false, failure: null };

export function useRuns(listing: Listing): Runs {
  const [state, setState] = useState(nothing);
  const [round, setRound] = useState(0);
  const latest = useRef(state);
  latest.current = state;
  const watched = useRef<readonly string[]>([]);
  const busy = useRef(false);
  const key = JSON.stringify(listing);
  const page = (after: string | null) =>
    ask(listFineTunes, {
      first: pageSize,
      after,
      filter: filterOf(listing),
      sort: listing.sort,
      reverse: listing.reverse,
    });

  useEffect(() => {
    let over = false;
    const attempt = async (work: () => Promise<(state: State) => State>) => {
      try {
        const next = await work();
        if (!over) setState((before) => ({ ...next(before), failure: null }));
        heard(true);
      } catch (error) {
        const failure = asFailure(error);
        heard(failure.code !== "UNAVAILABLE");
        if (!over) setState((before) => ({ ...before, failure }));
      }
    };
    const first = async () => {
      const { fineTunes } = await page(null);
      return (before: State) => withFirstPage(before, fineTunes);
    };
    let refreshing = false;
    const refresh = async () => {
      // A slow service is not asked again before it has answered.
      if (refreshing) return;
      refreshing = true;
      await readAgain();
      refreshing = false;
    };
    const readAgain = async () => {
      await attempt(first);
      const firstPage = new Set(latest.current.ids.slice(0, pageSize));
      const others = watched.current.filter((id) => !firstPage.has(id) && isOpen(latest.current, id));
      if (others.length > 0) await attempt(async () => withRuns((await ask(shownRuns, { ids: others })).nodes));
    };
    // The rows of another order or filter stay until those of this one are there, and so does the focus among them.
    setState((before) => ({ ...before, total: null, next: null, newer: false }));
    void attempt(first);
    const timer = setInterval(() => !document.hidden && void refresh(), refreshMs);
    return () => {
      over = true;
      clearInterval(timer);
    };
  }, [key, round]);

  const loadMore = () => {
    const { next } = latest.current;
    if (next === null || busy.current) return;
    busy.current = true;
    page(next)
      .then(({ fineTunes }) => setState((before) => (before.next === next ? withMore(before, fineTunes) : before)))
      .catch((error: unknown) => setState((before) => ({ ...before, failure: asFailure(error) })))
      .finally(() => {
        busy.current = false;
      });
  };
  const runs = useMemo(() => state.ids.flatMap((id) => state.byId.get(id) ?? []), [state.ids, state.byId]);
  return {
    runs,
    total: state.total,
    hasMore: state.next !== null,
    newer: state.newer,
    failure: state.failure,
    loadMore,
    reload: () => {
      scrollTo(0, 0);
      setRound((before) => before + 1);
    },
    change: (changed) => setState((before) => withRuns(changed.flatMap((one) => changedRun(before, one)))(before)),
    watch: (ids) => {
      watched.current = ids;
    },
  };
}

interface Page {
  readonly totalCount: number;
  readonly nodes: readonly ListedRun[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
}

const cursorOf = ({ pageInfo }: Page) => (pageInfo.hasNextPage ? pageInfo.endCursor : null);
const mapOf = (runs: readonly ListedRun[]) => runs.map((run) => [run.id, run] as const);

function withFirstPage(before: State, page: Page): State {
  const ids = page.nodes.map(({ id }) => id);
  const byId = new Map([...before.byId, ...mapOf(page.nodes)]);
  const shared = { ...before, byId, total: page.totalCount };
  const isStart = before.total === null || before.ids.length <= pageSize;
  if (isStart && (before.total === null || scrollY <= topPixels))
    return { ...shared, ids, next: cursorOf(page), newer: false };
  if (scrollY > topPixels) return { ...shared, newer: ids.some((id) => !before.byId.has(id)) };
  // Those below the first page stay where they were.
  const known = new Set(ids);
  return { ...shared, ids: [...ids, ...before.ids.filter((id) => !known.has(id))], newer: false };
}

function withMore(before: State, page: Page): State {
  const known = new Set(before.ids);
  const ids = [...before.ids, ...page.nodes.map(({ id }) => id).filter((id) => !known.has(id))];
  return { ...before, ids, byId: new Map([...before.byId, ...mapOf(page.nodes)]), next: cursorOf(page) };
}

const withRuns = (found: readonly (ListedRun | object | null)[]) => (before: State) => {
  const runs = found.filter((one): one is ListedRun => one !== null && "id" in one);
  return { ...before, byId: new Map([...before.byId, ...mapOf(runs)]) };
};

function changedRun({ byId }: State, changed: Changed): ListedRun[] {
  const run = byId.get(changed.id);
  return run ? [{ ...run, ...changed }] : [];
}

function isOpen({ byId }: State, id: string): boolean {
  const run = byId.get(id);
  return run !== undefined && !isFinal(run.status);
}
