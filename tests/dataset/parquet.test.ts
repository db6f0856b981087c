import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parquetMetadata } from "hyparquet";
import { parquetWriteBuffer } from "hyparquet-writer";
import { expect, test } from "vitest";
import { parquetRows } from "../../dataset/parquet.ts";
import { scratch } from "../support/models.ts";

const numbers = Array.from({ length: 200 }, (_, row) => row);
const whole = Buffer.from(
  parquetWriteBuffer({
    columnData: [
      { name: "prompt", data: numbers.map((row) => `Row ${row} was`) },
      { name: "completion", data: numbers.map((row) => (row % 2 === 0 ? " great" : null)), nullable: true },
    ],
  }),
);

async function rowsOf(file: Buffer): Promise<string[]> {
  const path = join(await scratch(), "rows.parquet");
  await writeFile(path, file);
  const rows: string[] = [];
  for await (const row of parquetRows(path)) rows.push(row);
  return rows;
}

test("values that are missing are left out", async () => {
  const rows = await rowsOf(whole);
  expect(rows).toHaveLength(200);
  expect(rows.slice(0, 2)).toStrictEqual(['{"prompt":"Row 0 was","completion":" great"}', '{"prompt":"Row 1 was"}']);
});

/** 200 as thrift's variable-length zigzag integers have it, and a number of as many bytes. */
const two = Buffer.from([0x90, 0x03]);
const more = Buffer.from([0x90, 0x7f]);

test("a file that claims more rows than it has values is refused at once", async () => {
  const claims = placesOf(two).map((at) => {
    const file = Buffer.from(whole);
    more.copy(file, at);
    return file;
  });
  const of = ({ num_rows: count, row_groups: groups }: ReturnType<typeof parquetMetadata>) =>
    [count, groups[0]?.num_rows].join();
  const group = claims.find((file) => of(parquetMetadata(arrayOf(file))) === "200,8136");
  const total = claims.find((file) => of(parquetMetadata(arrayOf(file))) === "8136,200");
  if (!group || !total) throw new Error("the file has no counts of rows to change");
  await expect(rowsOf(group)).rejects.toThrow("row groups have 8136 rows, and the file 200");
  await expect(rowsOf(total)).rejects.toMatchObject({ code: "DATASET_INVALID" });
  const both = Buffer.from(group);
  for (const at of placesOf(two)) if (total[at] === more[0] && total[at + 1] === more[1]) more.copy(both, at);
  expect(of(parquetMetadata(arrayOf(both)))).toBe("8136,8136");
  await expect(rowsOf(both)).rejects.toThrow('column "prompt" has fewer values than the file has rows');
});

function placesOf(bytes: Buffer): number[] {
  return Array.from({ length: whole.length }, (_, at) => at).filter((at) => whole.subarray(at, at + 2).equals(bytes));
}

function arrayOf(file: Buffer): ArrayBuffer {
  return new Uint8Array(file).buffer;
}
