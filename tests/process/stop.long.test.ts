/** A gateway that is killed, a worker that is told to stop, a run that is cancelled: what was acknowledged stays. Real processes. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { reconstruct } from "../../engine/replay/reconstruct.ts";
import { decodeStepLog } from "../../schema/step-log.ts";
import { firstTry } from "../support/first-try.ts";
import { golden } from "../support/models.ts";
import { directly } from "../store/fixtures.ts";
import { collectSteps, expectEveryStepOnce, expectRebuilt, steps } from "./follow.ts";
import { createRun, testService, until } from "./service.ts";

test(
  "kill -9 of the gateway: subscribers come back and see every step once",
  { ...firstTry, timeout: 120_000 },
  async () => {
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
  },
);

test("a worker that is told to stop gives its run back at once", { ...firstTry, timeout: 120_000 }, async () => {
  const service = await testService();
  const { client } = await service.startServer();
  const first = await service.startWorker();
  const id = await createRun(service, client, steps);
  const { seen, done } = collectSteps(client, id);
  await until("the first steps", 20_000, () => seen.length > 50);

  expect(await first.kill("SIGTERM")).toBe(0);
  // No lease has to lapse.
  const leased = await directly(
    service.env["DATABASE_URL"] ?? "",
    (sql) => sql`select 1 from jobs where lease_worker is not null`,
  );
  expect(leased).toHaveLength(0);
  const atStop = (await client.fineTune(id)).progress.step;
  const second = await service.startWorker();
  await until("the second worker's first step", 20_000, async () => (await client.fineTune(id)).progress.step > atStop);
  await done;
  expectEveryStepOnce(seen);
  await expectRebuilt(service, client, id);
  await second.kill("SIGTERM");
});

test("a run that is cancelled ends with a checkpoint that rebuilds", { ...firstTry, timeout: 60_000 }, async () => {
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

test(
  "a gateway that is told to stop ends while it reads a file without end",
  { ...firstTry, timeout: 60_000 },
  async () => {
    const service = await testService();
    const { running, url } = await service.startServer();
    const body = await readFile(golden("datasets", "endless.parquet"));
    const sent = fetch(`${url}/datasets?name=endless`, { method: "POST", body }).catch(() => null);
    await delay(1_000);
    const start = performance.now();
    expect(await running.kill("SIGTERM")).toBe(0);
    expect(performance.now() - start).toBeLessThan(10_000);
    await sent;
  },
);
