/** A row of a parquet file as a row of JSON Lines: the same for the service, which stores it, and the page, which shows it first. */

export const parquetRowAsJson = (row: Readonly<Record<string, unknown>>): string => JSON.stringify(row, asJson);

/** A missing value of a column is left out; 64-bit integers become numbers. */
function asJson(this: unknown, _key: string, value: unknown): unknown {
  if (value === null) return Array.isArray(this) ? null : undefined;
  return typeof value === "bigint" ? Number(value) : value;
}
