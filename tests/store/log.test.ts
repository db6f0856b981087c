import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Chain, decodeHeader, encodeStepLog, packDecays, streamStepLog, unpackEntries } from "../../schema/step-log.ts";
import type { Store } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import {
  append,
  batchOf,
  chainAfter,
  chainStart,
  chartOf,
  claimed,
  directly,
  headerBytes,
  metricsOf,
  newTraining,
  scalarsOf,
} from "./fixtures.ts";
import { claimAny } from "../support/claims.ts";

let fixture: TestStore;
let store: Store;
const loud: object[] = [];
beforeAll(async () => {
  const quiet = () => {};
  fixture = await testStore({ log: { info: quiet, warn: quiet, error: (fields) => loud.push(fields) } });
  ({ store } = fixture);
});
afterAll(() => fixture.drop());

const segmentsOf = (id: string) =>
  directly(
    fixture.url,
    (sql) => sql`
    select first_entry, count, octet_length(scalars) as bytes from log_segments
    where fine_tune_id = ${id} order by first_entry`,
  );

async function expectLog(id: string, entries: number): Promise<void> {
  const log = await store.fineTunes.log(id);
  expect(log?.entries).toBe(entries);
  expect(Buffer.compare(log?.scalars ?? Buffer.alloc(0), scalarsOf(0, entries))).toBe(0);
  expect(Buffer.compare(log?.chain ?? Buffer.alloc(0), chainAfter(entries))).toBe(0);
}

describe("append", () => {
  test("what was appended is read back: scalars, chain, metrics, counts", async () => {
    const { run, job } = await newTraining(store);
    await append(store, job, 0, 2);
    const measured = { step: 3, loss: Number.NaN, projectedGradient: null, learningRate: 1e-6 };
    const metric = { ...measured, skipped: "not finite", zero: false, seconds: 0.5 };
    expect(await store.appendSteps(job, { ...batchOf(2, 2), metrics: [metric, ...metricsOf(3, 1)] })).toEqual({
      wanted: "RUN",
    });
    await expectLog(run.id, 4);
    expect(await store.fineTunes.get(run.id)).toMatchObject({ entries: 4, skippedSteps: 1 });
    const steps = await store.fineTunes.metrics(run.id, { afterStep: 1, limit: 2 });
    expect(steps).toMatchObject([
      { step: 2, loss: 0.5, projectedGradient: -2, skipped: null },
      { step: 3, loss: null, projectedGradient: null, skipped: "not finite" },
    ]);
  });

  test("segments are filled up to 4,096 entries, and a long batch goes over several", async () => {
    const { run, job } = await newTraining(store);
    const sizes = [10, 4_085, 1, 1, 9_000];
    let first = 0;
    for (const size of sizes) {
      await append(store, job, first, size);
      first += size;
    }
    await expectLog(run.id, 13_097);
    expect(await segmentsOf(run.id)).toEqual([
      { first_entry: 0, count: 4_096, bytes: 8_192 },
      { first_entry: 4_096, count: 4_096, bytes: 8_192 },
      { first_entry: 8_192, count: 4_096, bytes: 8_192 },
      { first_entry: 12_288, count: 809, bytes: 1_618 },
    ]);
  });

  test("decays are kept beside the scalars", async () => {
    const { run, job } = await newTraining(store);
    const decays = packDecays([0.5, 0.25, 0.125]);
    await store.appendSteps(job, { ...batchOf(0, 1), decays: decays.subarray(0, 4) });
    await store.appendSteps(job, { ...batchOf(1, 2), decays: decays.subarray(4) });
    const log = await store.fineTunes.log(run.id);
    expect(Buffer.compare(log?.decays ?? Buffer.alloc(0), decays)).toBe(0);
    await expect(append(store, job, 3, 1)).rejects.toThrow("all decays or none");
  });

  test("an append elsewhere than at the end is refused", async () => {
    const { run, job } = await newTraining(store);
    await append(store, job, 0, 2);
    await expect(append(store, job, 0, 2)).rejects.toMatchObject({ code: "LEASE_LOST" });
    await expect(append(store, job, 3, 1)).rejects.toMatchObject({ code: "LEASE_LOST" });
    await expectLog(run.id, 2);
  });

  test("an append is all or nothing", async () => {
    const { run, job } = await newTraining(store);
    await append(store, job, 0, 2);
    // A metric that the table refuses, after the segment was grown in the same transaction.
    const metric = {
      step: 3,
      loss: 1,
      projectedGradient: 1,
      learningRate: Number.NaN,
      skipped: null,
      zero: false,
      seconds: 1,
    };
    await expect(store.appendSteps(job, { ...batchOf(2, 1), metrics: [metric] })).rejects.toThrow("step_metrics");
    await expectLog(run.id, 2);
    expect(await segmentsOf(run.id)).toMatchObject([{ count: 2 }]);
    await append(store, job, 2, 1);
    await expectLog(run.id, 3);
  });

  test("of many appends at one place one goes in", async () => {
    const { run, job } = await newTraining(store);
    const other = await fixture.another();
    const tries = Array.from({ length: 12 }, (_, n) => append(n % 2 ? store : other, job, 0, n + 1));
    const results = await Promise.allSettled(tries);
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const winner = results.findIndex(({ status }) => status === "fulfilled");
    await expectLog(run.id, winner + 1);
    expect(await store.fineTunes.metrics(run.id, { afterStep: 0, limit: 100 })).toHaveLength(winner + 1);
  });

  test("a reader never sees half a batch while it grows", async () => {
    const { run, job } = await newTraining(store);
    const writing = new AbortController();
    const read = async (): Promise<void> => {
      while (!writing.signal.aborted) {
        const log = await store.fineTunes.log(run.id);
        const chain = Buffer.from(log?.chain ?? []);
        expect(chain.equals(chainAfter(log?.entries ?? 0))).toBe(true);
        expect(log?.scalars.length).toBe((log?.entries ?? 0) * 2);
      }
    };
    const readers = Promise.all([read(), read()]);
    for (let first = 0; first < 60; first += 3) await append(store, job, first, 3);
    writing.abort();
    await readers;
    await expectLog(run.id, 60);
  });
});

describe("header", () => {
  test("another header for a run that has one is INVALID_STATE, the same one is not", async () => {
    const { run, job } = await newTraining(store);
    const same = { headerBytes: Uint8Array.from(headerBytes), chain: chainStart };
    await store.beginLog(job, { ...same, device: "native" });
    expect((await store.fineTunes.get(run.id))?.device).toBe("native");
    const other = { headerBytes: headerBytes.subarray(1), chain: chainStart, device: "plain" };
    await expect(store.beginLog(job, other)).rejects.toMatchObject({ code: "INVALID_STATE" });
  });

  test("a log begins after the beginning again without losing its place", async () => {
    const { run, job } = await newTraining(store);
    await append(store, job, 0, 5);
    await store.beginLog(job, { headerBytes, chain: chainStart, device: "plain" });
    await expectLog(run.id, 5);
  });
});

describe("prefix", () => {
  test("the first n entries with the chain over exactly these", async () => {
    const { run, job } = await newTraining(store);
    await append(store, job, 0, 4_100);
    for (const entries of [0, 1, 4_096, 4_097, 4_100]) {
      const log = await store.fineTunes.logPrefix(run.id, entries);
      expect(log?.entries).toBe(entries);
      expect(Buffer.compare(log?.scalars ?? Buffer.alloc(0), scalarsOf(0, entries))).toBe(0);
      expect(Buffer.compare(log?.chain ?? Buffer.alloc(0), chainAfter(entries))).toBe(0);
    }
    await expect(store.fineTunes.logPrefix(run.id, 4_101)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(Chain.start(headerBytes).hash).toEqual(Buffer.from(chainAfter(0)));
  });
});

test("the last pairs are those of the log, from however many segments", async () => {
  const { run, job } = await newTraining(store);
  expect(await store.fineTunes.lastPairs(run.id, 5)).toEqual([]);
  await append(store, job, 0, 4_098);
  const log = await store.fineTunes.log(run.id);
  const { seed } = decodeHeader(headerBytes);
  const all = [...unpackEntries({ seed, scalars: log?.scalars ?? Buffer.alloc(0), decays: null })];
  expect(await store.fineTunes.lastPairs(run.id, 5)).toEqual(
    all.slice(-5).map((one, index) => ({ entry: 4_093 + index, seed: one.seed, scalar: one.scalar })),
  );
});

describe("chart", () => {
  test("merges steps into buckets, or gives them one by one when they are few", async () => {
    const { run, job } = await newTraining(store);
    await append(store, job, 0, 10);
    const few = await chartOf(store, run.id, { points: 20 });
    expect(few.map(({ step, count }) => [step, count])).toEqual(Array.from({ length: 10 }, (_, n) => [n + 1, 1]));
    const [first, second] = await chartOf(store, run.id, { points: 2 });
    expect(first).toMatchObject({ step: 5, count: 5, lossMin: 0.2, lossMax: 1 });
    expect(first?.loss).toBeCloseTo((1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) / 5, 12);
    expect(second).toMatchObject({ step: 10, count: 5, lossMin: 0.1 });
    const part = await chartOf(store, run.id, { points: 2, from: 3, to: 6 });
    expect(part.map(({ step, count }) => [step, count])).toEqual([
      [4, 2],
      [6, 2],
    ]);
    expect(await chartOf(store, "x", { points: 2 })).toEqual([]);
  });
});

test("a step may have several entries; steps that changed nothing are counted", async () => {
  const { run, job } = await newTraining(store);
  const metrics = metricsOf(0, 2).map((metric) => ({ ...metric, zero: metric.step === 2 }));
  await store.appendSteps(job, { ...batchOf(0, 6), metrics });
  expect(await store.fineTunes.get(run.id)).toMatchObject({ entries: 6, stepsDone: 2, zeroSteps: 1 });
  await store.appendSteps(job, { ...batchOf(6, 3), metrics: metricsOf(2, 1) });
  expect(await store.fineTunes.get(run.id)).toMatchObject({ entries: 9, stepsDone: 3, zeroSteps: 1 });
  const after = { ...batchOf(9, 3), metrics: metricsOf(4, 1) };
  await expect(store.appendSteps(job, after)).rejects.toThrow(/after step 3/u);
  await expect(store.appendSteps(job, { ...after, metrics: [] })).rejects.toThrow(/whole steps/u);
});

describe("measurements and checkpoints", () => {
  const digest = "cd".repeat(32);

  test("an evaluation of a place is kept once", async () => {
    const { run, job } = await newTraining(store);
    const evaluation = { entries: 0, step: 0, rows: 3, loss: 0.5, accuracy: 2 / 3 };
    await store.recordEvaluation(job, evaluation);
    await store.recordEvaluation(job, { ...evaluation, loss: 9 });
    expect(await store.fineTunes.evaluations(run.id)).toMatchObject([evaluation]);
  });

  test("memory is kept once for each kind and step, in order, and not from who has lost the run", async () => {
    const { run, job } = await newTraining(store);
    const steps = { kind: "STEPS", step: 2, residentBytes: 3e9, peakBytes: null } as const;
    const forward = { kind: "FORWARD_PASSES", step: 0, residentBytes: 1e9, peakBytes: 2e9 } as const;
    await store.recordMemory(job, steps);
    await store.recordMemory(job, forward);
    await store.recordMemory(job, { ...steps, residentBytes: 9 });
    expect(await store.fineTunes.memory(run.id)).toMatchObject([forward, steps]);
    const stale = { ...job, token: job.token - 1 };
    await expect(store.recordMemory(stale, { ...steps, step: 3 })).rejects.toMatchObject({ code: "LEASE_LOST" });
    expect(await store.fineTunes.memory("nothing")).toEqual([]);
  });

  test("a checkpoint of a place is kept once; other weights there are an INTERNAL error, said loudly", async () => {
    const { run, job } = await newTraining(store);
    await append(store, job, 0, 2);
    const place = { entries: 2, step: 2, chain: chainAfter(2), weightsDigest: digest };
    const first = await store.recordCheckpoint(job, place);
    expect(await store.recordCheckpoint(job, place)).toEqual(first);
    const other = { ...place, weightsDigest: "ef".repeat(32) };
    await expect(store.recordCheckpoint(job, other)).rejects.toMatchObject({ code: "INTERNAL" });
    expect(loud).toContainEqual(expect.objectContaining({ fineTuneId: run.id, measured: other.weightsDigest }));
    const ahead = { ...place, entries: 3, step: 3 };
    await expect(store.recordCheckpoint(job, ahead)).rejects.toMatchObject({ code: "INVALID_STATE" });
    expect(await store.checkpoints.list(run.id, { limit: 10 })).toEqual([first]);
  });

  test("weights are asked for once, rebuilt by a job, and may be asked for again after a failure", async () => {
    const { job } = await newTraining(store);
    await append(store, job, 0, 1);
    const { id } = await store.recordCheckpoint(job, {
      entries: 1,
      step: 1,
      chain: chainAfter(1),
      weightsDigest: digest,
    });
    await store.finishFineTune(job, { status: "SUCCEEDED" });
    const asked = await Promise.all([1, 2, 3, 4].map(() => store.checkpoints.requestWeights(id)));
    expect(asked.every(({ weightsStatus }) => weightsStatus === "QUEUED")).toBe(true);

    const rebuild = await claimed(store);
    expect(rebuild).toMatchObject({ kind: "MATERIALISE", subject: id });
    expect(await claimAny(store, "b", 1_000)).toBeNull();
    await store.finishMaterialise(rebuild, { error: "disk full" });
    expect(await store.checkpoints.get(id)).toMatchObject({ weightsStatus: "FAILED", weightsError: "disk full" });

    await store.checkpoints.requestWeights(id);
    const weightsFiles = [{ name: "model.safetensors", sha256: digest, bytes: 16 }];
    await store.finishMaterialise(await claimed(store), { weightsFiles });
    const stored = await store.checkpoints.requestWeights(id);
    expect(stored).toMatchObject({
      weightsStatus: "STORED",
      weightsFiles,
      weightsBlob: digest,
      weightsBytes: 16,
      weightsError: null,
    });
    expect(await claimAny(store, "b", 1_000)).toBeNull();
    await expect(store.checkpoints.requestWeights("x")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});

describe("finish", () => {
  test("a failure keeps its code, words and issues, and the job is gone", async () => {
    const { run, job } = await newTraining(store);
    const failure = {
      code: "DATASET_INVALID",
      message: "Line 3 is empty.",
      issues: [{ line: 3, message: "empty" }],
    } as const;
    await store.finishFineTune(job, { status: "FAILED", ...failure });
    const ended = await store.fineTunes.get(run.id);
    expect(ended).toMatchObject({ status: "FAILED", errorCode: failure.code, errorMessage: failure.message });
    expect(ended?.errorIssues).toEqual(failure.issues);
    expect(ended?.finishedAt).toBeInstanceOf(Date);
    await expect(store.renewLease(job, 1_000)).rejects.toMatchObject({ code: "LEASE_LOST" });
  });
});

describe("a long log", () => {
  /** As if it had been appended; every second segment has decays. */
  async function longLog(segments: number): Promise<string> {
    const { run, job } = await newTraining(store);
    await directly(
      fixture.url,
      (sql) => sql`
        insert into log_segments (fine_tune_id, first_entry, count, scalars, decays)
        select ${run.id}, k * 4096, 4096, decode(repeat(lpad(to_hex(k % 256), 2, '0') || '3c', 4096), 'hex'),
          case when k % 2 = 1 and k < 200 then decode(repeat('0000003f', 4096), 'hex') end
        from generate_series(0, ${segments - 1}::int) as k`,
    );
    await directly(fixture.url, (sql) => sql`update fine_tunes set entries = ${segments * 4096} where id = ${run.id}`);
    await store.finishFineTune(job, { status: "CANCELLED" });
    return run.id;
  }

  test("is read in parts, each in its place", async () => {
    const id = await longLog(300);
    const log = await store.fineTunes.log(id);
    expect([log?.entries, log?.scalars.length, log?.decays?.length]).toStrictEqual([1_228_800, 2_457_600, 4_915_200]);
    const decays = new Float32Array(log?.decays?.buffer ?? new ArrayBuffer(0));
    for (const k of [0, 1, 127, 128, 129, 255, 256, 299]) {
      for (const entry of [4096 * k, 4096 * k + 4095]) {
        expect([log?.scalars[2 * entry], decays[entry]]).toStrictEqual([k % 256, k % 2 === 1 && k < 200 ? 0.5 : 1]);
      }
    }
    const parts = (await store.fineTunes.logParts(id, null)) ?? expect.unreachable("it has a log");
    const sent = (await Readable.from(streamStepLog(parts)).toArray()) as Uint8Array[];
    expect(log && Buffer.compare(Buffer.concat(sent), encodeStepLog(log))).toBe(0);
    expect(Math.max(...sent.map((part) => part.length))).toBe(4 * 4096);
    const prefix = await store.fineTunes.logPrefix(id, 5_000);
    expect(
      Buffer.compare(prefix?.scalars ?? Buffer.alloc(0), log?.scalars.subarray(0, 10_000) ?? Buffer.alloc(0)),
    ).toBe(0);
  });

  // About a minute.
  test.runIf(process.env["STEPLOG_LONG_TESTS"])(
    "of 10^6 steps of 256 estimates is read in little more memory than its bytes",
    { timeout: 5 * 60_000 },
    async () => {
      const id = await longLog(62_500);
      await directly(
        fixture.url,
        (sql) => sql`update log_segments set decays = null where fine_tune_id = ${id} and decays is not null`,
      );
      const before = process.memoryUsage.rss();
      let most = before;
      const timer = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 50);
      const log = await store.fineTunes.log(id);
      clearInterval(timer);
      expect(log?.scalars.length).toBe(512e6);
      expect(most - before).toBeLessThan(512e6 + 300e6);
    },
  );
});
