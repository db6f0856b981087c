/** The heads of the table of runs: a click sorts by what the service can sort by, a second one turns the order around. */
import type { FineTuneSort } from "../../../client/schema-types.ts";
import { orders, type Listing } from "./filter.ts";
import type { Selection } from "./use-selection.ts";

interface Column {
  /** By the order of the list, where that decides what the column shows. */
  readonly title: string | ((sort: FineTuneSort) => string);
  readonly class: string;
  /** A click takes the first of them, unless the list has one already. */
  readonly orders?: readonly FineTuneSort[];
}

const columns: readonly Column[] = [
  { title: "Name", class: "run-name", orders: ["NAME"] },
  { title: "Status", class: "run-status" },
  { title: "Progress", class: "run-progress", orders: ["STEPS"] },
  { title: "Time left", class: "run-left number" },
  { title: "Loss", class: "run-loss number" },
  { title: bestTitle, class: "run-best number", orders: ["SCORE", "LOSS"] },
  { title: "Method", class: "run-method" },
  { title: "Base model", class: "run-base" },
  { title: dateTitle, class: "run-date", orders: ["CREATED", "FINISHED"] },
];

/** What a list is sorted by is shown in it. */
export function bestTitle(sort: FineTuneSort): string {
  return sort === "LOSS" ? "Best loss" : "Best";
}

export function dateTitle(sort: FineTuneSort): string {
  return sort === "FINISHED" ? "Ended" : "Created";
}

interface HeadProps {
  readonly listing: Listing;
  readonly selection: Selection;
  /** Of the rows. */
  readonly shown: number;
  readonly onOrder: (order: Pick<Listing, "sort" | "reverse">) => void;
}

export function RunHead({ listing, selection, shown, onOrder }: HeadProps) {
  const { runs, toggleAll } = selection;
  const all = runs.length === shown;
  return (
    <thead>
      <tr>
        <th scope="col" class="choice">
          <label>
            <input type="checkbox" checked={all} indeterminate={!all && runs.length > 0} onChange={toggleAll} />
            <span>Select all that are shown</span>
          </label>
        </th>
        {columns.map((column) => (
          <Head key={column.class} column={column} listing={listing} onOrder={onOrder} />
        ))}
      </tr>
    </thead>
  );
}

interface ColumnProps extends Pick<HeadProps, "listing" | "onOrder"> {
  readonly column: Column;
}

function Head({ column, listing: { sort, reverse }, onOrder }: ColumnProps) {
  const title = typeof column.title === "string" ? column.title : column.title(sort);
  const [first] = column.orders ?? [];
  if (first === undefined)
    return (
      <th scope="col" class={column.class}>
        {title}
      </th>
    );
  const isSorted = column.orders?.includes(sort) ?? false;
  const next = isSorted ? { sort, reverse: !reverse } : { sort: first, reverse: false };
  const ascending = (orders[sort].ascending ?? false) !== reverse;
  return (
    <th scope="col" class={column.class} aria-sort={isSorted ? (ascending ? "ascending" : "descending") : undefined}>
      <button
        type="button"
        class="head"
        title={orders[next.sort][next.reverse ? "reversed" : "name"]}
        onClick={() => onOrder(next)}
      >
        {title}
      </button>
    </th>
  );
}
