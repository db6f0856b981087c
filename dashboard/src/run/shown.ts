/** What is shown of a run's charts. It is in the address, so that it can be sent to somebody: ?steps=100-200&smooth=2&log=yes */
import { useEffect, useState } from "preact/hooks";
import type { Range } from "../parts/zoom.ts";

/** The slider's positions: shares of the steps shown that are smoothed over. */
export const shares = [0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4];
export const usualShare = 4;

export interface Shown {
  /** The steps; null for all. */
  readonly range: Range | null;
  readonly share: number;
  readonly log: boolean;
}

/** Browsers refuse an address that changes more often than a slider moves. */
const writeMs = 300;

export function useShown(): readonly [Shown, (change: Partial<Shown>) => void] {
  const [shown, setShown] = useState(() => shownIn(location.search));
  useEffect(() => {
    const { pathname, search, hash } = location;
    const next = searchOf(shown, search);
    if (next === search) return undefined;
    const writing = setTimeout(() => history.replaceState(history.state, "", `${pathname}${next}${hash}`), writeMs);
    return () => clearTimeout(writing);
  }, [shown]);
  return [shown, (change) => setShown((before) => ({ ...before, ...change }))];
}

/** What the address does not say, or says wrongly, is left at its default. */
export function shownIn(search: string): Shown {
  const query = new URLSearchParams(search);
  const [min = Number.NaN, max = Number.NaN] = (query.get("steps") ?? "").split("-").map(Number);
  const share = Number(query.get("smooth") ?? usualShare);
  return {
    range: min >= 0 && max > min && Number.isFinite(max) ? { min, max } : null,
    share: share in shares ? share : usualShare,
    log: query.get("log") === "yes",
  };
}

/** @param search what the address has now: what others wrote there stays */
export function searchOf({ range, share, log }: Shown, search: string): string {
  const query = new URLSearchParams(search);
  const put = (name: string, value: string | null) => (value === null ? query.delete(name) : query.set(name, value));
  put("steps", range && [range.min, range.max].map((step) => Number(step.toFixed(2))).join("-"));
  put("smooth", share === usualShare ? null : String(share));
  put("log", log ? "yes" : null);
  return query.size === 0 ? "" : `?${query.toString()}`;
}
