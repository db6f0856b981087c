/** Which runs are listed and in which order. It is in the address, so that it can be sent to somebody. */
import type { FineTuneFilter, FineTuneSort, FineTuneStatus } from "../../../client/schema-types.ts";
import { at } from "../base.ts";
import { statusWords } from "../parts/status.tsx";

export interface Listing {
  readonly search: string;
  readonly status: FineTuneStatus | "";
  readonly model: string;
  readonly archived: boolean;
  readonly sort: FineTuneSort;
  /** From the other end of the order. */
  readonly reverse: boolean;
}

interface Order {
  readonly name: string;
  readonly reversed: string;
  /** The least comes first, unless it is reversed. */
  readonly ascending?: true;
  /** Which runs it has, where it lacks some. */
  readonly only?: string;
}

export const orders: Readonly<Record<FineTuneSort, Order>> = {
  CREATED: { name: "Newest first", reversed: "Oldest first" },
  SCORE: { name: "Best score", reversed: "Lowest score", only: "that have a score on validation rows" },
  LOSS: {
    name: "Lowest validation loss",
    reversed: "Highest validation loss",
    ascending: true,
    only: "that have a loss on validation rows",
  },
  FINISHED: { name: "Last finished", reversed: "First finished", only: "that have ended" },
  NAME: { name: "By name", reversed: "By name, backwards", ascending: true },
  STEPS: { name: "Most steps", reversed: "Fewest steps" },
};

/** What the address does not say, or says wrongly, is left at its default. */
export function listingOf(query: Readonly<Record<string, string>>): Listing {
  // Addresses that were kept may have a tag of its own.
  const { q = "", tag = "", status = "", model = "", archived, sort = "", reverse } = query;
  return {
    search: q || tag,
    status: status in statusWords ? (status as FineTuneStatus) : "",
    model,
    archived: archived === "yes",
    sort: sort in orders ? (sort as FineTuneSort) : "CREATED",
    reverse: reverse === "yes",
  };
}

export function addressOf({ search, status, model, archived, sort, reverse }: Listing): string {
  const given = {
    q: search,
    status,
    model,
    archived: archived ? "yes" : "",
    sort: sort === "CREATED" ? "" : sort,
    reverse: reverse ? "yes" : "",
  };
  const text = new URLSearchParams(Object.entries(given).filter(([, value]) => value !== "")).toString();
  return at(text === "" ? "/" : `/?${text}`);
}

export function filterOf({ search, status, model, archived }: Listing): FineTuneFilter {
  return {
    archived,
    ...(search !== "" && { search }),
    ...(status !== "" && { statuses: [status] }),
    ...(model !== "" && { baseModel: model }),
  };
}

/** Whether there may be runs that it leaves out. */
export function isFiltered(listing: Listing): boolean {
  const unordered = { ...listing, sort: "CREATED", reverse: false } as const;
  return orders[listing.sort].only !== undefined || addressOf(unordered) !== addressOf(listingOf({}));
}
