/** Rows of evaluations, of which some are shown: all, or those that a filter leaves, with how many these are. */
import { useState } from "preact/hooks";
import { formatInteger } from "../format.ts";
import { DataTable, type Column } from "../parts/data-table.tsx";
import { Problem } from "../parts/problem.tsx";
import type { EveryRow } from "./every-row.ts";

export interface Filter<Row> {
  readonly name: string;
  readonly shows: (row: Row) => boolean;
}

interface ShownRowsProps<Row> extends EveryRow<Row> {
  readonly name: string;
  readonly columns: readonly Column<Row>[];
  /** The first shows all. */
  readonly filters: readonly Filter<Row>[];
  /** How many rows were measured: only the first ones of many are kept. */
  readonly measured: number | null;
}

export function ShownRows<Row extends { readonly row: number }>(props: ShownRowsProps<Row>) {
  const { name, columns, filters, measured, rows, all, failure } = props;
  const [chosen, setChosen] = useState(0);
  const shows = filters[chosen]?.shows ?? (() => true);
  return (
    <>
      {filters.length > 1 && (
        <div class="toolbar">
          <label class="check">
            Show
            <select value={chosen} onChange={({ currentTarget }) => setChosen(Number(currentTarget.value))}>
              {filters.map((one, index) => (
                <option key={one.name} value={index} selected={index === chosen}>
                  {one.name} ({formatInteger(rows.filter(one.shows).length)})
                </option>
              ))}
            </select>
          </label>
        </div>
      )}
      {failure && <Problem title="The answers could not be read" failure={failure} />}
      {!all && failure === null && <p role="status">Reading the rows…</p>}
      {all && measured !== null && measured > rows.length && (
        <p class="muted">
          Of {formatInteger(measured)} rows that were measured, the first {formatInteger(rows.length)} are kept.
        </p>
      )}
      <div class="answered-rows" tabIndex={0} role="region" aria-label="Rows">
        <DataTable
          name={name}
          columns={columns}
          rows={rows.filter(shows)}
          keyOf={({ row }) => String(row)}
          empty={all ? "No row is so." : ""}
        />
      </div>
    </>
  );
}
