/** What a crash may cost: nothing that was acknowledged. Real processes, kill -9. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { SteplogClient } from "../../client/index.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { reconstruct } from "../../engine/replay/reconstruct.ts";
import { decodeStepLog } from "../../schema/step-log.ts";
import type { TestService } from "./service.ts";
import { createRun, testService, until } from "./service.ts";

/** Some seconds of training, so that it is killed in the midst. */
const steps = 500;
const takeoverMs = 15_000;

function collectSteps(client: SteplogClient, id: string): { seen: number[]; done: Promise<void> } {
  const seen: number[] = [];
  const collect = async () => {
    for await (const update of client.follow(id)) if (update.type === "step") seen.push(update.step.step);
  };
  return { seen, done: collect() };
}

function expectEveryStepOnce(seen: readonly number[]): void {
  expect(seen).toStrictEqual(Array.from({ length: steps }, (_, k) => k + 1));
}

/** Downloads log and trained weights, rebuilds, and compares. */
async function expectRebuilt(service: TestService, client: SteplogClient, id: string): Promise<void> {
  const outcome = await client.fineTune(id);
  expect(outcome).toMatchObject({ status: "SUCCEEDED", error: null });
  const [checkpoint] = outcome.checkpoints.nodes;
  if (!checkpoint?.weightsUrl) throw new Error("the last checkpoint has weights");
  const bytesAt = async (url: string) => Buffer.from(await (await client.download(url)).bytes());
  const log = decodeStepLog(await bytesAt(checkpoint.logUrl));
  expect(log.entries).toHaveLength(steps);
  expect(Buffer.from(log.chain).toString("hex")).toBe(checkpoint.chainHash);
  const out = join(service.folder, "rebuilt");
  const base = await openModelFolder(service.modelPath);
  const { digest } = await reconstruct({ base, log, out, device: createPlainDevice(), verify: false, replace: false });
  expect(digest).toBe(checkpoint.weightsDigest);
  const trained = await bytesAt(checkpoint.weightsUrl);
  expect((await readFile(join(out, "model.safetensors"))).equals(trained)).toBe(true);
}

describe("kill -9", () => {
  test(
    "of the worker: another goes on within 15 s, and the log rebuilds what was trained",
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

  test("of the gateway: subscribers come back and see every step once", { timeout: 120_000 }, async () => {
    const service = await testService();
    const { running, url, client } = await service.startServer();
    await service.startWorker();
    const id = await createRun(service, client, steps);
    const { seen, done } = collectSteps(client, id);
    await until("the first steps", 20_000, () => seen.length > 50);

    await running.kill("SIGKILL");
    const atKill = seen.length;
    expect(atKill).toBeLessThan(steps);
    await service.startServer(Number(new URL(url).port));
    await done;
    expectEveryStepOnce(seen);
    expect(seen.length).toBeGreaterThan(atKill);
    await expectRebuilt(service, client, id);
  });
});

test("a worker that is told to stop gives its run back at once", { timeout: 120_000 }, async () => {
  const service = await testService();
  const { client } = await service.startServer();
  const first = await service.startWorker();
  const id = await createRun(service, client, steps);
  const { seen, done } = collectSteps(client, id);
  await until("the first steps", 20_000, () => seen.length > 50);

  expect(await first.kill("SIGTERM")).toBe(0);
  const atStop = (await client.fineTune(id)).progress.step;
  const second = await service.startWorker();
  // Well below the lease: nothing had to lapse.
  await until("the second worker's first step", 5_000, async () => (await client.fineTune(id)).progress.step > atStop);
  await done;
  expectEveryStepOnce(seen);
  await expectRebuilt(service, client, id);
  await second.kill("SIGTERM");
});

test("a run that is cancelled ends with a checkpoint that rebuilds", { timeout: 60_000 }, async () => {
  const service = await testService();
  const { client } = await service.startServer();
  await service.startWorker();
  const id = await createRun(service, client, 1_000_000);
  const { seen, done } = collectSteps(client, id);
  await until("the first steps", 20_000, () => seen.length > 20);
  await client.cancel(id);
  await done;
  const { status, progress, checkpoints } = await client.fineTune(id);
  expect(status).toBe("CANCELLED");
  const [checkpoint] = checkpoints.nodes;
  expect(checkpoint?.entries).toBe(progress.step);
  expect(seen.at(-1)).toBe(progress.step);
  const log = decodeStepLog(Buffer.from(await (await client.download(checkpoint?.logUrl ?? "")).bytes()));
  const base = await openModelFolder(service.modelPath);
  const out = join(service.folder, "rebuilt");
  const { digest } = await reconstruct({ base, log, out, device: createPlainDevice(), verify: false, replace: false });
  expect(digest).toBe(checkpoint?.weightsDigest);
});

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
