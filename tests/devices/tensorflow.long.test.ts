/**
 * Runs of the service on TensorFlow: their logs rebuild the same bytes on every device, and a run goes on elsewhere when its
 * worker is killed. STEPLOG_DEVICES names the folder with tfjs-cpu or tfjs-gpu.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { SteplogClient } from "../../client/index.ts";
import { listDevices } from "../../engine/devices/choose.ts";
import type { Device } from "../../engine/devices/device.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { reconstruct } from "../../engine/replay/reconstruct.ts";
import { decodeStepLog } from "../../schema/step-log.ts";
import { collectSteps, expectEveryStepOnce, expectRebuilt } from "../process/follow.ts";
import type { TestService } from "../process/service.ts";
import { expectAnswersBesideRun } from "../process/beside-training.ts";
import { createRun, testService, until } from "../process/service.ts";
import { devicesDir, promised, threadsOf } from "../support/open-devices.ts";

const tensorflow = "tfjs-tensorflow";
const onTensorflow = { STEPLOG_DEVICE: tensorflow, STEPLOG_DEVICES: devicesDir ?? "" };
const onNative = { STEPLOG_DEVICE: "native" };
const here = (await listDevices(devicesDir)).flatMap((device) => ("open" in device ? [device] : []));
const has = (name: string) => here.some((device) => device.name === name);
// Promised, they run, and fail where it is missing.
const missing = !promised.includes(tensorflow) && !(has(tensorflow) && has("native"));

const minute = 60_000;

test.skipIf(missing)("a run on TensorFlow rebuilds bit for bit on every device", { timeout: 3 * minute }, async () => {
  const service = await testService();
  const { client } = await service.startServer();
  const worker = await service.startWorker(onTensorflow);
  expect((await worker.ready)["device"]).toContain("TensorFlow.js");
  const id = await createRun(service, client, 60);
  expect((await client.wait(id)).status).toBe("SUCCEEDED");
  const digest = await expectRebuilt(service, client, id, 60);
  const trained = await readFile(join(service.folder, `rebuilt-${id}`, "model.safetensors"));
  for (const { name, open } of here) {
    const device = await open(threadsOf(name));
    const { out, ...rebuilt } = await rebuiltOn(device, service, client, id);
    expect([name, rebuilt.digest]).toEqual([name, digest]);
    expect((await readFile(join(out, "model.safetensors"))).equals(trained)).toBe(true);
    device.dispose();
  }
});

async function rebuiltOn(device: Device, service: TestService, client: SteplogClient, id: string) {
  const [checkpoint] = (await client.fineTune(id)).checkpoints.nodes;
  if (!checkpoint) throw new Error("a run ends with a checkpoint");
  const log = decodeStepLog(Buffer.from(await (await client.download(checkpoint.logUrl)).bytes()));
  const out = join(service.folder, `on-${device.name}`);
  const base = await openModelFolder(service.modelPath);
  return { out, ...(await reconstruct({ base, log, out, device, verify: false, replace: true })) };
}

test.skipIf(missing).each([
  ["TensorFlow", "the native device", onTensorflow, onNative],
  ["the native device", "TensorFlow", onNative, onTensorflow],
])(
  "a run begun on %s, whose worker is killed, goes on on %s",
  { timeout: 5 * minute },
  async (_, __, first, second) => {
    // The native device makes hundreds of them before the first has been heard of and the signal has come.
    const steps = 1_000;
    const service = await testService();
    const { client } = await service.startServer();
    const killed = await service.startWorker(first);
    const id = await createRun(service, client, steps);
    const { seen, done } = collectSteps(client, id);
    await until("some steps", minute, () => seen.length > 0);
    expect(await killed.kill("SIGKILL")).toBe("SIGKILL");
    expect(seen.length).toBeLessThan(steps);
    await service.startWorker(second);
    await until("the end of the run", 3 * minute, async () => (await client.fineTune(id)).status === "SUCCEEDED");
    await done;
    expectEveryStepOnce(seen, steps);
    await expectRebuilt(service, client, id, steps);
  },
);

/** Each has a thread, and so a TensorFlow of its own in one process. */
test.skipIf(missing).each([
  ["that takes turns with them", {}],
  ["that computes at the same time", { STEPLOG_SERVE_THREADS: "1" }],
])("60 requests at once, beside a run %s", { timeout: 8 * minute }, (_way, aside) =>
  expectAnswersBesideRun({ ...onTensorflow, ...aside }, { steps: 150, requests: 60, tolerance: 1e-5 }),
);
