/**
 * Foreign bytes at every door: no crash, no hang, bounded memory, no error of ours. A hundred inputs a door in CI;
 * STEPLOG_FUZZ_INPUTS=100000 npm run fuzz feeds as many as one has time for, from input STEPLOG_FUZZ_FIRST of
 * STEPLOG_FUZZ_SEED. With -t DOOR it feeds one door.
 */
import { expect, test } from "vitest";
import { scratch } from "../support/models.ts";
import { testDatabase } from "../support/postgres.ts";
import type { Counts } from "./child.ts";
import { doors } from "./doors.ts";
import { fuzz } from "./run.ts";

const inputs = Number(process.env["STEPLOG_FUZZ_INPUTS"] ?? 100);
const seed = Number(process.env["STEPLOG_FUZZ_SEED"] ?? 1);
const first = Number(process.env["STEPLOG_FUZZ_FIRST"] ?? 0);
const perInputMs = 200;
const progressMs = 60_000;

test.each(Object.keys(doors))("%s", { timeout: 180_000 + inputs * perInputMs }, async (door) => {
  const database = await testDatabase();
  try {
    const env = { DATABASE_URL: database.url };
    const said = { onFed: sayProgress(door), onFault: (fault: string) => console.error(fault) };
    const report = await fuzz({ door, seed, first, count: inputs, folder: await scratch(), env, ...said });
    const { taken, refused, late, peakMb, faults } = report;
    console.info(`${door}: ${taken} taken, ${refused} refused, ${late} late, peak ${Math.round(peakMb)} MB`);
    expect(faults).toStrictEqual([]);
    expect(taken + refused).toBe(inputs);
  } finally {
    await database.drop();
  }
});

/** A line a minute. */
function sayProgress(door: string): (input: number, counts: Counts) => void {
  let said = performance.now();
  return (input, { peakMb }) => {
    if (performance.now() < said + progressMs) return;
    said = performance.now();
    console.info(`${door}: ${input + 1 - first} of ${inputs} inputs, peak ${Math.round(peakMb)} MB`);
  };
}
