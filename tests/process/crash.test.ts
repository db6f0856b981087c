/** What a crash may cost: nothing that was acknowledged. Real processes, kill -9. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { collectSteps, expectEveryStepOnce, expectRebuilt, steps } from "./follow.ts";
import { createRun, testService, until } from "./service.ts";

const takeoverMs = 15_000;

test(
  "kill -9 of the worker: another goes on within 15 s, and the log rebuilds what was trained",
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

test("a run whose base model was changed on disk fails and says so", { timeout: 60_000 }, async () => {
  const service = await testService();
  const { client } = await service.startServer();
  await service.startWorker();
  const path = join(service.modelPath, "model.safetensors");
  const bytes = await readFile(path);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  await writeFile(path, bytes);
  const id = await createRun(service, client, 10);
  await until("the failure", 20_000, async () => (await client.fineTune(id)).status === "FAILED");
  expect((await client.fineTune(id)).error).toMatchObject({ code: "BASE_MISMATCH" });
});
