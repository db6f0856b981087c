/** What a crash may cost: nothing that was acknowledged. Real processes, kill -9. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { collectSteps, expectEveryStepOnce, expectRebuilt, steps } from "./follow.ts";
import { createRun, testService, until } from "./service.ts";

const takeoverMs = 15_000;

test(
  "kill -9 of the worker: another continues within 15 s, and the log rebuilds what was trained",
  { timeout: 120_000 },
  async () => {
    const service = await testService();
    const { client } = await service.startServer();
    const first = await service.startWorker();
    const id = await createRun(service, client, steps);
    const { seen, done } = collectSteps(client, id);
    await until("the first step", 20_000, () => seen.length > 0);
    const second = await service.startWorker();

    await first.kill("SIGKILL");
    const atKill = (await client.fineTune(id)).progress.step;
    expect(atKill).toBeLessThan(steps);
    const waited = await until("the second worker's first step", takeoverMs, async () => {
      return (await client.fineTune(id)).progress.step > atKill;
    });
    expect(waited).toBeLessThan(takeoverMs);

    await done;
    expectEveryStepOnce(seen);
    await expectRebuilt(service, client, id);
    expect(await second.kill("SIGTERM")).toBe(0);
  },
);

test("a run whose base model was changed on disk waits, says so, and goes on when it is restored", async () => {
  const service = await testService();
  const { client } = await service.startServer();
  await service.startWorker();
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
}, 120_000);
