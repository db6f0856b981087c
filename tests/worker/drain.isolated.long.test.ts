/** Dozens of queued runs, drained by real workers: what each costs the database besides its steps. A count, not a time. */
import { expect, test, vi } from "vitest";
import { type Sent, transactionsOf } from "../support/statements.ts";
import { trainingService } from "./service.ts";

const sent = vi.hoisted(() => [] as Sent[]);
vi.mock("postgres", async (original) => (await import("../support/statements.ts")).counting(await original(), sent));

const runs = 24;
const settings = { steps: 2, batchSize: 1, learningRate: 1e-3 };

/** Transactions about a run, by what only they write, and how many statements each has, its begin and commit among them. */
const transactionsOfRun = {
  claim: { writes: /set "status" = \$1, "started_at"/u, statements: 9 },
  begin: { writes: /"log_header" = /u, statements: 6 },
  memory: { writes: /insert into "run_memory"/u, statements: 5 },
  checkpoint: { writes: /insert into "checkpoints"/u, statements: 7 },
  end: { writes: /set "status" = \$1, "finished_at"/u, statements: 9 },
} as const;
/** What is read outside of them: the claim, the run and what it needs, and the run again at its end. */
const reads = /^with "free"|^select .* from "(fine_tunes|base_models|datasets|step_metrics|evaluations)"/su;
const readsOfRun = 11;

test(
  "a queued run costs five transactions and eleven reads at most besides its steps",
  { timeout: 240_000 },
  async () => {
    const { store, create } = await trainingService({ workers: 2 });
    sent.splice(0);
    const ids = await Promise.all(Array.from({ length: runs }, () => create(settings)));
    let looks = 0;
    const done = async () => {
      looks += 1;
      return (await store.fineTunes.byIds(ids)).every((run) => run?.status === "SUCCEEDED");
    };
    await expect.poll(done, { timeout: 220_000, interval: 500 }).toBe(true);

    const { transactions, alone } = transactionsOf(sent);
    for (const [name, { writes, statements }] of Object.entries(transactionsOfRun)) {
      const its = transactions.filter((one) => one.some((text) => writes.test(text)));
      const lengths = new Set(its.map((one) => one.length));
      expect([name, its.length, ...lengths]).toEqual([name, runs, statements]);
    }
    const read = alone.filter((text) => reads.test(text)).length - looks;
    expect(read / runs).toBeGreaterThan(readsOfRun / 2);
    expect(read / runs).toBeLessThanOrEqual(readsOfRun);
  },
);
