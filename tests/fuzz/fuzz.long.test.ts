/**
 * Foreign bytes at every door: no crash, no hang, bounded memory, no error of ours. A few hundred inputs a door in CI;
 * STEPLOG_FUZZ_INPUTS=100000 npm run fuzz feeds as many as one has time for, from STEPLOG_FUZZ_SEED.
 */
import { expect, test } from "vitest";
import { scratch } from "../support/models.ts";
import { testDatabase } from "../support/postgres.ts";
import { doors } from "./doors.ts";
import { fuzz } from "./run.ts";

const inputs = Number(process.env["STEPLOG_FUZZ_INPUTS"] ?? 200);
const seed = Number(process.env["STEPLOG_FUZZ_SEED"] ?? 1);
const maxMb = 1_024;
/** In one process, so that memory which is never given back would show. */
const perInputMs = 200;

test.each(Object.keys(doors))("%s", { timeout: 180_000 + inputs * perInputMs }, async (door) => {
  const database = await testDatabase();
  try {
    const env = { DATABASE_URL: database.url };
    const report = await fuzz({ door, seed, first: 0, count: inputs, folder: await scratch(), env });
    console.info(`${door}: ${report.taken} taken, ${report.refused} refused, peak ${Math.round(report.peakMb)} MB`);
    expect(report.faults).toStrictEqual([]);
    expect(report.taken + report.refused).toBe(inputs);
    expect(report.peakMb).toBeLessThan(maxMb);
  } finally {
    await database.drop();
  }
});
