/** Who may claim what: priority, and what a worker has and can do. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Capabilities, Needs } from "../../schema/jobs.ts";
import { liveMs } from "../../schema/limits.ts";
import { waitingReason } from "../../store/queue/waiting.ts";
import type { Store } from "../../store/store.ts";
import { claimAny, everything } from "../support/claims.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import {
  append,
  chainAfter,
  claimed,
  directly,
  lapse,
  longMs,
  newInput,
  newRun,
  newTraining,
  sha256,
} from "./fixtures.ts";

let fixture: TestStore;
let store: Store;
beforeEach(async () => {
  fixture = await testStore();
  ({ store } = fixture);
});
afterEach(() => fixture.drop());

/** A worker that can train the run of `newRun`, but for the changes. */
async function capabilities(changes: Partial<Capabilities> = {}): Promise<Capabilities> {
  return { ...(await everything(store)), ...changes };
}
const claimAs = (can: Capabilities) => store.claimJob({ worker: "w", leaseMs: longMs, capabilities: can });

async function report(can: Capabilities, name = "w"): Promise<string> {
  const id = crypto.randomUUID();
  await store.workers.report({ id, name, device: "plain", version: "1", ...can });
  return id;
}

/** A job that nobody has tried yet. */
const fresh = { kind: "FINE_TUNE", failedBy: null, lastError: null, waitsMs: null } as const;

test("the highest priority is claimed first, then the oldest", async () => {
  const runs = [await newRun(store), await newRun(store), await newRun(store), await newRun(store)];
  for (const [index, priority] of [0, 5, -1, 5].entries()) {
    await directly(
      fixture.url,
      (sql) => sql`update jobs set priority = ${priority} where subject = ${runs[index]?.id ?? ""}`,
    );
  }
  const order: (string | undefined)[] = [];
  for (const _ of runs) order.push((await claimed(store)).subject);
  expect(order).toEqual([1, 3, 0, 2].map((index) => runs[index]?.id));
});

describe("nobody claims what it cannot run", () => {
  const lacking: readonly [string, Partial<Capabilities>, RegExp][] = [
    ["the kind", { kinds: ["MATERIALISE"] }, /takes the task to train runs\. Start a worker/u],
    ["the model", { models: [] }, /has the base model tiny .*steplog model add/u],
    ["the model's weights", { models: [{ name: "tiny", hash: sha256("other") }] }, /tiny with hash/u],
    ["the family", { families: ["llama"] }, /supports the model family opt/u],
    ["the precision", { precisions: ["FLOAT32"] }, /multiplies in bfloat16\. Start a worker .* FLOAT32/u],
    ["memory", { memoryBytes: 15 }, /needs 16 bytes of memory; the largest live worker has 15 bytes\. Start a worker/u],
  ];

  test.for(lacking)(
    "a worker without %s, and the run says what it waits for until one has it",
    async ([, lack, reason]) => {
      const input = await newInput(store);
      const hyperparameters = { ...input.hyperparameters, precision: "BFLOAT16" as const };
      const { fineTune } = await store.fineTunes.create({ ...input, hyperparameters });
      const unfit = await capabilities(lack);
      expect(await store.fineTunes.waitingReason(fineTune.id)).toBe("No worker is running. Start one: steplog worker.");
      await report(unfit);
      expect(await claimAs(unfit)).toBeNull();
      expect(await store.fineTunes.waitingReason(fineTune.id)).toMatch(reason);

      const fit = await capabilities();
      await report(fit, "fit");
      expect(await store.fineTunes.waitingReason(fineTune.id)).toBeNull();
      expect(await claimAs(fit)).toMatchObject({ subject: fineTune.id });
      expect(await store.fineTunes.waitingReason(fineTune.id)).toBeNull();
    },
  );

  test("an adapter needs four bytes for each element, beside the weights", async () => {
    const size = { parameters: 4, bytes: 8, contextLength: 32 };
    const adapters = {
      layers: [
        [3, 2],
        [1, 1],
      ] as const,
      prefix: 7,
    };
    const parts = { tensors: ["a.weight"], layers: ["0.q_proj", "0.fc1"], adapters };
    const named = { name: "adapted", hash: sha256("adapted"), family: "opt", dtype: "BF16" };
    const { id } = await store.baseModels.register({ ...named, ...size, parts });
    const input = { ...(await newInput(store)), baseModelId: id };
    for (const [bytes, changes] of [
      [8 + 4 * 2 * (3 + 2), { method: "LORA", loraRank: 2 }],
      [8 + 4 * 2 * (3 + 2 + 1 + 1), { method: "LORA", loraRank: 2, loraTargets: ["q_proj", "0.*"] }],
      [8 + 4 * 5 * 7, { method: "PREFIX", prefixLength: 5 }],
      [8, { method: "HEAD" }],
    ] as const) {
      await store.fineTunes.create({ ...input, hyperparameters: { ...input.hyperparameters, ...changes } });
      expect(await claimAs(await capabilities({ memoryBytes: bytes - 1 }))).toBeNull();
      expect(await claimAs(await capabilities({ memoryBytes: bytes }))).not.toBeNull();
    }
  });

  test("float16 weights are trained as float32, so they need four bytes each, frozen ones too", async () => {
    const size = { parameters: 4, bytes: 8, contextLength: 32 };
    const model = await store.baseModels.register({
      name: "half",
      hash: sha256("half"),
      family: "opt",
      dtype: "F16",
      ...size,
    });
    await store.fineTunes.create({ ...(await newInput(store)), baseModelId: model.id });
    expect(await claimAs(await capabilities({ memoryBytes: 15 }))).toBeNull();
    expect(await claimAs(await capabilities({ memoryBytes: 16 }))).not.toBeNull();
    const input = { ...(await newInput(store)), baseModelId: model.id };
    for (const changes of [
      { method: "LORA" },
      { method: "PREFIX" },
      { method: "HEAD" },
      { tensors: ["*.bias"] },
    ] as const) {
      await store.fineTunes.create({ ...input, hyperparameters: { ...input.hyperparameters, ...changes } });
      expect(await claimAs(await capabilities({ memoryBytes: 15 }))).toBeNull();
      expect(await claimAs(await capabilities({ memoryBytes: 16 }))).not.toBeNull();
    }
  });

  test("a need that this release does not know is never met", async () => {
    await newRun(store);
    await directly(fixture.url, (sql) => sql`update jobs set needs = needs || '{"accelerators": ["h200"]}'`);
    expect(await claimAny(store)).toBeNull();
    await directly(fixture.url, (sql) => sql`update jobs set needs = needs - 'accelerators'`);
    expect(await claimAny(store)).not.toBeNull();
  });

  test("a rebuild needs the base model, whatever the memory", async () => {
    const { job } = await newTraining(store);
    await append(store, job, 0, 1);
    const position = { entries: 1, step: 1, chain: chainAfter(1), weightsDigest: "ab".repeat(32) };
    const { id } = await store.recordCheckpoint(job, position);
    await store.checkpoints.requestWeights(id);
    expect(await claimAs(await capabilities({ models: [] }))).toBeNull();
    await report(await capabilities({ models: [] }));
    expect(await store.checkpoints.waitingReason(id)).toMatch(/has the base model tiny .*steplog model add/u);
    expect(await claimAs(await capabilities({ memoryBytes: 0, precisions: [] }))).toMatchObject({ subject: id });
  });

  test("the SQL of a claim and the words for people agree", async () => {
    const { id } = await newRun(store);
    const models = [
      [],
      [{ name: "a", hash: "1" }],
      [
        { name: "a", hash: "1" },
        { name: "b", hash: "2" },
      ],
    ];
    const needs: Needs[] = models.flatMap((some) => [
      { models: some },
      { models: some, families: ["opt"], memoryBytes: 2 },
    ]);
    needs.push({}, { precisions: ["FLOAT32", "BFLOAT16"] }, { precisions: [] }, { families: ["opt", "gpt2"] });
    const base = { kinds: ["FINE_TUNE"] as const, families: ["opt"], precisions: ["FLOAT32"] as const, memoryBytes: 2 };
    const workers: Capabilities[] = models.map((some) => ({ ...base, models: some }));
    workers.push(
      { ...base, memoryBytes: 1, models: models[2] ?? [] },
      { ...base, precisions: ["BFLOAT16", "FLOAT32"], models: [] },
    );
    for (const need of needs) {
      await directly(
        fixture.url,
        (sql) => sql`update jobs set needs = ${sql.json(need as never)} where subject = ${id}`,
      );
      for (const worker of workers) {
        const job = await claimAs(worker);
        const reason = waitingReason({ ...fresh, needs: need }, [{ ...worker, name: "w", job: null }], 0);
        expect({ need, worker, claimed: job !== null }).toEqual({ need, worker, claimed: reason === null });
        if (job) await store.releaseJob(job);
      }
    }
  });
});

describe("a run says why it waits", () => {
  test("behind others, while every worker that can run it is busy", async () => {
    const [first, second, third] = [await newRun(store), await newRun(store), await newRun(store)];
    await report(await capabilities());
    const job = await claimed(store, "w");
    const reasons = async () => Promise.all([first, second, third].map(({ id }) => store.fineTunes.waitingReason(id)));
    expect(await reasons()).toEqual([
      null,
      "Waiting for a worker: next in line.",
      "Waiting for a worker: 1 job is ahead.",
    ]);
    await lapse(fixture.url, job);
    expect(await reasons()).toEqual([null, null, null]);
    await directly(fixture.url, (sql) => sql`delete from workers`);
    expect(new Set(await reasons())).toEqual(new Set(["No worker is running. Start one: steplog worker."]));
  });

  test("not at all when it has ended, or does not exist", async () => {
    const run = await newRun(store);
    await store.fineTunes.cancel(run.id);
    expect(await store.fineTunes.waitingReason(run.id)).toBeNull();
    expect(await store.fineTunes.waitingReason("x")).toBeNull();
  });

  test("when each need is met by some worker but no worker meets all", () => {
    const some = {
      name: "w",
      kinds: ["FINE_TUNE"] as const,
      families: ["opt"],
      precisions: ["FLOAT32"] as const,
      models: [],
      job: null,
    };
    const workers = [
      { ...some, memoryBytes: 10, families: [] },
      { ...some, memoryBytes: 1 },
    ];
    const needs = { families: ["opt"], memoryBytes: 5 };
    expect(waitingReason({ ...fresh, needs }, workers, 0)).toBe(
      "No live worker has everything that the job needs: the task to train runs, the family opt, 5 bytes of memory. " +
        "Start one that has it all.",
    );
  });
});

describe("workers", () => {
  test("are listed while they report, with the job that they hold", async () => {
    const run = await newRun(store);
    const id = await report(await capabilities(), "alice");
    await report(await capabilities({ memoryBytes: 1 }), "bob");
    await claimed(store, "alice");
    expect(await store.workers.list()).toMatchObject([
      { name: "alice", job: { kind: "FINE_TUNE", subject: run.id } },
      { name: "bob", memoryBytes: 1, job: null },
    ]);
    await store.workers.remove(id);
    expect((await store.workers.list()).map(({ name }) => name)).toEqual(["bob"]);
  });

  test("are no longer live after some silence, and their rows are deleted later", async () => {
    const id = await report(await capabilities(), "silent");
    const silentFor = (interval: string) =>
      directly(
        fixture.url,
        (sql) => sql`update workers set last_seen_at = now() - ${interval}::interval where id = ${id}`,
      );
    await silentFor(`${liveMs + 1_000} milliseconds`);
    expect(await store.workers.list()).toEqual([]);
    await report(await capabilities(), "other");
    const names = () => directly(fixture.url, (sql) => sql`select name from workers order by name`);
    expect(await names()).toHaveLength(2);
    await silentFor("2 hours");
    await report(await capabilities(), "another");
    expect((await names()).map(({ name }) => String(name))).toEqual(["another", "other"]);
  });
});
