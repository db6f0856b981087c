/** What a crash may cost: nothing that was acknowledged. Real processes, kill -9. */
import { readFile, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { SteplogClient } from "../../client/index.ts";
import { directly } from "../store/fixtures.ts";
import { firstTry } from "../support/first-try.ts";
import type { Running } from "../support/processes.ts";
import { collectSteps, expectEveryStepOnce, expectRebuilt } from "./follow.ts";
import type { TestService } from "./service.ts";
import { createRun, testService, until } from "./service.ts";

const takeoverMs = 15_000;
/** Some two seconds of training. Both workers are there when it begins. */
const steps = 200;

// In one test, since each process costs two seconds.
test(
  "kill -9 of the worker: another continues within 15 s, and the log rebuilds what was trained; a run whose base model was " +
    "changed on disk waits, says so, and goes on when it is restored",
  { ...firstTry, timeout: 180_000 },
  async () => {
    const service = await testService();
    const { client } = await service.startServer();
    const workers = await Promise.all([service.startWorker(), service.startWorker()]);
    const survivor = await killWhileTraining(service, client, workers);
    await changeTheModel(service, client);
    expect(await survivor.kill("SIGTERM")).toBe(0);
  },
);

/** Kills the worker that trains. @returns the other one */
async function killWhileTraining(
  service: TestService,
  client: SteplogClient,
  workers: readonly Running[],
): Promise<Running> {
  const id = await createRun(service, client, steps);
  const { seen, done } = collectSteps(client, id);
  await until("the first step", 20_000, () => seen.length > 0);
  const holder = await holderOf(service);
  const [trains, other] = workers.toSorted((one) => (one.child.pid === holder ? -1 : 1));
  if (trains?.child.pid !== holder || !other) throw new Error(`No worker has the process id ${holder}.`);

  await trains.kill("SIGKILL");
  const atKill = (await client.fineTune(id)).progress.step;
  expect(atKill).toBeLessThan(steps);
  const waited = await until("the second worker's first step", takeoverMs, async () => {
    return (await client.fineTune(id)).progress.step > atKill;
  });
  expect(waited).toBeLessThan(takeoverMs);

  await done;
  expectEveryStepOnce(seen, steps);
  await expectRebuilt(service, client, id, steps);
  return other;
}

/** The process id of the worker that has the job. */
async function holderOf(service: TestService): Promise<number> {
  const [job] = await directly(service.env["DATABASE_URL"] ?? "", (sql) => sql`select lease_worker from jobs`);
  return Number(String(job?.["lease_worker"]).replace(`${hostname()}-`, ""));
}

async function changeTheModel(service: TestService, client: SteplogClient): Promise<void> {
  const path = join(service.modelPath, "model.safetensors");
  const bytes = await readFile(path);
  const changed = Buffer.from(bytes);
  changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
  await writeFile(path, changed);
  const id = await createRun(service, client, 10);
  const reason = async () => (await client.fineTune(id)).waitingReason ?? "";
  await until("the reason", 20_000, async () => /No live worker has the base model tiny/u.test(await reason()));
  expect((await client.fineTune(id)).error).toBeNull();
  await writeFile(path, bytes);
  await until("the end", 60_000, async () => (await client.fineTune(id)).status === "SUCCEEDED");
}
