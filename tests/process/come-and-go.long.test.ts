/** Workers that end by themselves when there is nothing to do, and one that is told to stop within a long pass. Real processes. */
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { randomModel } from "../support/models.ts";
import { firstTry } from "../support/first-try.ts";
import { runSteplog, startSteplog } from "../support/processes.ts";
import { directly } from "../store/fixtures.ts";
import { createRun, testService, until } from "./service.ts";

const slackMs = 20_000;

test(
  "a worker that exits when idle does what there is first, registers what is asked for, and ends with 0",
  { ...firstTry, timeout: 90_000 },
  async () => {
    const service = await testService();
    const { client } = await service.startServer();
    const first = startSteplog(["worker", "--exit-when-idle", "0"], service.env);
    expect(await first.ended).toBe(0);
    const { baseModels } = await client.query<{ baseModels: { nodes: unknown } }>("{ baseModels { nodes { name } } }");
    expect(baseModels.nodes).toEqual([{ name: "tiny" }]);

    const id = await createRun(service, client, 200);
    const queue = async () => {
      const { stdout } = await runSteplog(["queue", "--json"], service.env);
      return JSON.parse(stdout) as unknown;
    };
    const lack: unknown = expect.stringMatching(/^No worker is running/u);
    const entry = { kind: "FINE_TUNE", model: "tiny", free: 1, held: 0, lack };
    expect(await queue()).toMatchObject({ workersWanted: 1, entries: [entry] });
    // One of a pool that only answers requests: once it has looked, none like it is wanted.
    const pool = { ...service.env, STEPLOG_WORKER_POOL: "answers" };
    const wanted = async () => (await runSteplog(["queue", "--pool", "answers", "--json"], service.env)).stdout;
    expect(JSON.parse(await wanted())).toMatchObject({ workersWanted: 1, entries: [{ leftBy: [] }] });
    expect(await startSteplog(["worker", "--serve", "inference", "--exit-when-idle", "0"], pool).ended).toBe(0);
    expect(JSON.parse(await wanted())).toMatchObject({ workersWanted: 0, entries: [{ free: 1, leftBy: ["answers"] }] });
    const second = startSteplog(["worker", "--exit-when-idle", "1"], { ...service.env, STEPLOG_LOG_LEVEL: "info" });
    expect(await second.ended).toBe(0);
    expect(second.output()).toContain("Nothing to do for 1 second: ending.");
    // It had more to do than a second of it.
    expect((await client.fineTune(id)).status).toBe("SUCCEEDED");
    expect(await queue()).toEqual({ workersWanted: 0, entries: [] });
    const { workers } = await client.query<{ workers: unknown }>("{ workers { name } }");
    expect(workers).toEqual([]);
  },
);

/** On the plain device a pass of it takes much longer than a stopping worker has. */
const slowConfig = { hidden_size: 64, word_embed_proj_dim: 64, ffn_dim: 256, num_hidden_layers: 4 };

test(
  "told to stop within a pass that takes longer, a worker gives its run back within 5 s",
  { ...firstTry, timeout: 90_000 },
  async () => {
    const service = await testService();
    await cp(await randomModel("F32", slowConfig), join(service.folder, "models", "slow"), { recursive: true });
    const { client } = await service.startServer();
    const first = await service.startWorker();
    const id = await createRun(service, client, 10, { baseModel: "slow", batchSize: 1_024 });
    const { DATABASE_URL = "" } = service.env;
    const isHeld = () =>
      directly(DATABASE_URL, async (sql) => (await sql`select 1 from jobs where lease_worker is not null`).length > 0);
    const isEvaluated = () => directly(DATABASE_URL, async (sql) => (await sql`select 1 from evaluations`).length > 0);
    // The rows are read and the base is evaluated: the first step begins.
    await until("the first evaluation", slackMs, isEvaluated);
    await delay(500);

    const started = performance.now();
    const ended = first.kill("SIGTERM");
    await until("the release", slackMs, async () => !(await isHeld()));
    expect(performance.now() - started).toBeLessThan(5_000);
    expect(await ended).toBe(0);
    expect(performance.now() - started).toBeLessThan(5_000);
    expect((await client.fineTune(id)).progress.step).toBe(0);
    await service.startWorker();
    await until("the next worker", 5_000, isHeld);
  },
);
