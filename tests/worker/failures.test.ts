/** Whose fault an error is: one of the worker gives the job back, one of the run ends it. */
import { cp, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { describe, expect, onTestFinished, test } from "vitest";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import { ModelsAtHand } from "../../models/registration.ts";
import { type ErrorCode, SteplogError, errorCodes } from "../../schema/errors.ts";
import { maxAttempts } from "../../schema/limits.ts";
import type { Log } from "../../schema/log.ts";
import type { ClaimedJob, Store } from "../../store/store.ts";
import { attemptsFor } from "../../worker/attempts.ts";
import { runWorker } from "../../worker/worker.ts";
import { newInput } from "../store/fixtures.ts";
import { randomModel, scratch } from "../support/models.ts";
import { testStore } from "../support/postgres.ts";

const silent: Log = { info() {}, warn() {}, error() {} };
const plain = { name: "plain", threads: 1, devicesDir: null };
const compute = { device: plain, deviceNote: "plain", precisions: ["float32"] as const, memoryBytes: 2e9 };
const name = "w";

const held: ClaimedJob = {
  id: 1,
  token: 1,
  kind: "FINE_TUNE",
  subject: crypto.randomUUID(),
  payload: {},
  needs: {},
  attempts: 1,
  lastError: null,
  createdAt: new Date(),
  traceparent: null,
};

/** What the worker calls to end its one job, which fails as soon as it is read; `isLast` refuses another attempt. */
async function endOf(error: Error, job: Partial<ClaimedJob> = {}, isLast = false) {
  const calls: { call: string; code?: string; message: string }[] = [];
  const stop = new AbortController();
  const store = {
    workers: { report: async () => {}, remove: async () => {} },
    claimJob: async () => ({ ...held, ...job }),
    fineTunes: {
      async get() {
        throw error;
      },
    },
    async repeatJob(_: ClaimedJob, { message }: { message: string }) {
      calls.push({ call: "repeat", message });
      if (!isLast) stop.abort();
      return !isLast;
    },
    async finishFineTune(_: ClaimedJob, { code, message }: { code: string; message: string }) {
      calls.push({ call: "fail", code, message });
      stop.abort();
    },
  } as unknown as Store;
  const log: Log = { ...silent, error: () => stop.abort(), warn: (_, text) => text.includes("LOST") && stop.abort() };
  await runWorker({ store, name, modelsDir: "", models: new ModelsAtHand(), ...compute, log, signal: stop.signal });
  return calls;
}

describe("an error", () => {
  const ofRun: readonly ErrorCode[] = [
    "INVALID_ARGUMENT",
    "DATASET_INVALID",
    "LOG_INVALID",
    "LOSS_NOT_FINITE",
    "DIVERGED",
  ];
  const ofWorker: readonly ErrorCode[] = [
    "UNAVAILABLE",
    "DEVICE_UNAVAILABLE",
    "NOT_FOUND",
    "BASE_MISMATCH",
    "MODEL_INVALID",
    "MODEL_UNSUPPORTED",
    "OUT_OF_MEMORY",
    "INTERNAL",
  ];

  test.for(ofRun)("%s ends the run at once", async (code) => {
    expect(await endOf(new SteplogError(code, "No."))).toEqual([{ call: "fail", code, message: "No." }]);
  });

  test.for(ofWorker)("%s gives the job back, and ends the run after the last attempt, told", async (code) => {
    const error = new SteplogError(code, "No.");
    expect(await endOf(error)).toEqual([{ call: "repeat", message: `${code}: No.` }]);
    const [, last] = await endOf(error, { attempts: 3 }, true);
    expect(last).toEqual({ call: "fail", code, message: "No. 3 attempts without progress have failed." });
  });

  test("LEASE_LOST leaves the job to its new worker", async () => {
    expect(await endOf(new SteplogError("LEASE_LOST", "LOST"))).toEqual([]);
  });

  test("of every code has its number of attempts", () => {
    for (const code of Object.keys(errorCodes) as ErrorCode[]) {
      expect(attemptsFor[code]).toBeGreaterThan(0);
      expect(attemptsFor[code]).toBeLessThanOrEqual(maxAttempts);
    }
  });

  const machine: readonly [string, Error, RegExp][] = [
    ["a full disk", Object.assign(new Error("write"), { code: "ENOSPC" }), /^UNAVAILABLE: .* no room left.*ENOSPC/u],
    [
      "a read-only disk",
      Object.assign(new Error("open"), { code: "EROFS", path: "/srv/data/x" }),
      /^UNAVAILABLE: data\/x is on a read-only/u,
    ],
    ["a thread out of memory", Object.assign(new Error("heap"), { code: "ERR_WORKER_OUT_OF_MEMORY" }), /^OUT_OF_MEM/u],
    ["no memory for an array", new RangeError("Array buffer allocation failed"), /^OUT_OF_MEMORY: /u],
    ["no memory on the native device", new Error("not enough memory"), /^OUT_OF_MEMORY: /u],
  ];
  test.for(machine)("%s is one of the machine", async ([, error, message]) => {
    expect(await endOf(error)).toEqual([{ call: "repeat", message: expect.stringMatching(message) as string }]);
  });

  test("that was told before is told again when workers die", async () => {
    const job = { attempts: maxAttempts + 1, lastError: "UNAVAILABLE: /data has no room left." };
    const [, end] = await endOf(new Error("unused"), job, true);
    expect(end?.message).toMatch(/20 workers claimed this job and died.* data has no room left/u);
  });
});

test("a worker whose model is gone gives the run back and forgets the model", async () => {
  const fixture = await testStore();
  onTestFinished(() => fixture.drop());
  const { store } = fixture;
  const modelsDir = join(await scratch(), "models");
  await mkdir(modelsDir);
  await cp(await randomModel(), join(modelsDir, "gone"), { recursive: true });
  const hash = await baseHash(await openModelFolder(join(modelsDir, "gone")));
  const size = { parameters: 4, bytes: 16, contextLength: 32 };
  const model = await store.baseModels.register({ name: "gone", hash, family: "opt", dtype: "F32", ...size });
  await store.blobs.put(Readable.from([Buffer.from("rows")]));
  const { fineTune } = await store.fineTunes.create({ ...(await newInput(store)), baseModelId: model.id });
  await rm(join(modelsDir, "gone"), { recursive: true });

  const models = new ModelsAtHand();
  models.add("gone", hash);
  const stop = new AbortController();
  const watched: Store = {
    ...store,
    async waitForJob() {
      stop.abort();
    },
  };
  await runWorker({ store: watched, name, modelsDir, models, ...compute, log: silent, signal: stop.signal });
  expect(models.list()).toEqual([]);
  expect(await store.fineTunes.get(fineTune.id)).toMatchObject({ status: "RUNNING", errorCode: null });
  const told = await store.fineTunes.events(fineTune.id, { after: 2, limit: 10 });
  expect(told).toMatchObject([
    {
      type: "ATTEMPT_FAILED",
      message: expect.stringMatching(/NOT_FOUND: There is no folder models\/gone\./u) as string,
    },
  ]);
});
