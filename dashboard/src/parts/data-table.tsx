/**
 * A table of rows that are all here, sorted by a click on a column's head. On a phone each row becomes a card, with the
 * titles of the columns before their values. The first column names the row.
 */
import {
  createSortedRowModel,
  rowSortingFeature,
  tableFeatures,
  useTable,
  type ColumnDef,
  type SortingState,
} from "@tanstack/preact-table";
import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";

const features = tableFeatures({ rowSortingFeature, sortedRowModel: createSortedRowModel() });

type SortValue = string | number | null | undefined;

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => ComponentChildren;
  /** The column can be sorted by this; rows without a value come last. */
  readonly sortBy?: (row: Row) => SortValue;
  /** Set in figures of one width, at the right. */
  readonly number?: boolean;
  /** May break anywhere, as names of files do. */
  readonly long?: boolean;
}

interface DataTableProps<Row> {
  /** What the table lists, for screen readers. */
  readonly name: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
  readonly sortedBy?: { readonly title: string; readonly descending: boolean };
  /** In place of rows, if there are none. */
  readonly empty: ComponentChildren;
  /** A class of a row, if it needs one. */
  readonly classOf?: (row: Row) => string;
}

export function DataTable<Row extends object>({
  name,
  columns,
  rows,
  keyOf,
  sortedBy,
  empty,
  classOf,
}: DataTableProps<Row>) {
  const sorting: SortingState = sortedBy ? [{ id: sortedBy.title, desc: sortedBy.descending }] : [];
  const definitions = useMemo(() => columns.map(definition), [columns]);
  const byTitle = new Map(columns.map((column) => [column.title, column]));
  const table = useTable({
    features,
    columns: definitions,
    data: rows,
    getRowId: keyOf,
    initialState: { sorting },
  });
  if (rows.length === 0) return <p class="muted">{empty}</p>;
  return (
    <table class="stacking" aria-label={name}>
      <thead>
        {table.getHeaderGroups().map((group) => (
          <tr key={group.id}>
            {group.headers.map(({ id, column }) => (
              <th
                key={id}
                scope="col"
                // Its button says more, which would be read with every cell.
                abbr={id}
                class={byTitle.get(id)?.number ? "number" : ""}
                aria-sort={ariaSort(column.getIsSorted())}
              >
                {column.getCanSort() ? (
                  <button
                    type="button"
                    class="head"
                    aria-label={`${id}: sort “${name}”`}
                    onClick={() => column.toggleSorting()}
                  >
                    {id}
                  </button>
                ) : (
                  id
                )}
              </th>
            ))}
          </tr>
        ))}
      </thead>
      <tbody>
        {table.getRowModel().rows.map(({ id, original }) => (
          <tr key={id} data-key={id} class={classOf?.(original)}>
            {columns.map((column, index) => (
              <Cell key={column.title} column={column} row={original} heads={index === 0} />
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Cell<Row>({ column, row, heads }: { column: Column<Row>; row: Row; heads: boolean }) {
  const { title, cell, number, long } = column;
  if (heads) return <th scope="row">{cell(row)}</th>;
  return (
    <td data-label={title} class={[number && "number", long && "long"].filter(Boolean).join(" ")}>
      {cell(row)}
    </td>
  );
}

function definition<Row extends object>({ title, sortBy }: Column<Row>): ColumnDef<typeof features, Row> {
  if (!sortBy) return { id: title, enableSorting: false };
  return {
    id: title,
    accessorFn: (row) => sortBy(row) ?? undefined,
    sortUndefined: "last",
    sortFn: (a, b) => compare(sortBy(a.original), sortBy(b.original)),
  };
}

function compare(a: SortValue, b: SortValue): number {
  if (typeof a === "string" && typeof b === "string") return a.localeCompare(b);
  return Number(a) - Number(b);
}

function ariaSort(sorted: false | "asc" | "desc") {
  if (sorted === false) return undefined;
  return sorted === "asc" ? "ascending" : "descending";
}
