/** Runs that wait in the queue follow one another at once, in one thread, and each is as it would be alone. */
import { expect, onTestFinished, test } from "vitest";
import type { Worker } from "node:worker_threads";
import type { Store } from "../../store/store.ts";
import { trainingService, when } from "./service.ts";

const settings = { steps: 3, batchSize: 2, learningRate: 1e-3 };

/** Threads that this process starts, and how many of them have ended. */
function countThreads() {
  const count = { started: 0, ended: 0 };
  const began = (thread: Worker) => {
    count.started += 1;
    thread.once("exit", () => (count.ended += 1));
  };
  process.on("worker", began);
  onTestFinished(() => void process.off("worker", began));
  return count;
}

test(
  "three queued runs take one thread, no wait between them, and have the bits of a run alone",
  { timeout: 60_000 },
  async () => {
    const threads = countThreads();
    const calls: string[] = [];
    let open = () => {};
    const opened = new Promise<void>((resolve) => (open = resolve));
    const storeOf = (store: Store): Store => ({
      ...store,
      async claimJob(claim) {
        await opened;
        const job = await store.claimJob(claim);
        if (job || calls.at(-1) !== "none") calls.push(job ? "job" : "none");
        return job;
      },
      async waitForJob(options) {
        calls.push("wait");
        return store.waitForJob(options);
      },
    });
    const { store, create } = await trainingService({ storeOf });
    const queued = [await create(settings), await create(settings), await create({ ...settings, seed: 5 })];
    open();
    for (const id of queued) await when(store, id, ({ status }) => status === "SUCCEEDED");
    await expect.poll(() => calls.slice(0, 5)).toEqual(["job", "job", "job", "none", "wait"]);
    expect(threads).toEqual({ started: 1, ended: 1 });

    const alone = await create(settings);
    await when(store, alone, ({ status }) => status === "SUCCEEDED");
    expect(threads.started).toBe(2);
    const endOf = async (id: string) => (await store.checkpoints.lastUpTo(id, settings.steps))?.weightsDigest;
    const ends = await Promise.all([...queued, alone].map(endOf));
    expect(ends[0]).toMatch(/^[0-9a-f]{64}$/u);
    expect([ends[1], ends[3]]).toEqual([ends[0], ends[0]]);
    expect(ends[2]).not.toBe(ends[0]);
  },
);
