/** Which runs are listed and in which order. It is in the address, so that it can be sent to somebody. */
import type { FineTuneFilter, FineTuneSort, FineTuneStatus } from "../../../client/schema-types.ts";
import { at } from "../base.ts";
import { statusWords } from "../parts/status.tsx";

export interface Listing {
  readonly search: string;
  readonly status: FineTuneStatus | "";
  readonly model: string;
  readonly tag: string;
  readonly archived: boolean;
  readonly sort: FineTuneSort;
}

/** The orders, in words. */
export const sortNames: Readonly<Record<FineTuneSort, string>> = {
  CREATED: "Newest first",
  SCORE: "Best score",
  LOSS: "Lowest validation loss",
  FINISHED: "Last finished",
  NAME: "By name",
  STEPS: "Most steps",
};

/** What the address does not say, or says wrongly, is left at its default. */
export function listingOf(query: Readonly<Record<string, string>>): Listing {
  const { q = "", status = "", model = "", tag = "", archived, sort = "" } = query;
  return {
    search: q,
    status: status in statusWords ? (status as FineTuneStatus) : "",
    model,
    tag,
    archived: archived === "yes",
    sort: sort in sortNames ? (sort as FineTuneSort) : "CREATED",
  };
}

export function addressOf({ search, status, model, tag, archived, sort }: Listing): string {
  const given = {
    q: search,
    status,
    model,
    tag,
    archived: archived ? "yes" : "",
    sort: sort === "CREATED" ? "" : sort,
  };
  const text = new URLSearchParams(Object.entries(given).filter(([, value]) => value !== "")).toString();
  return at(text === "" ? "/" : `/?${text}`);
}

export function filterOf({ search, status, model, tag, archived }: Listing): FineTuneFilter {
  return {
    archived,
    ...(search !== "" && { name: search }),
    ...(status !== "" && { statuses: [status] }),
    ...(model !== "" && { baseModel: model }),
    ...(tag !== "" && { tags: [tag] }),
  };
}

export const isFiltered = (listing: Listing) => addressOf({ ...listing, sort: "CREATED" }) !== addressOf(listingOf({}));
