/** The process of a trial (trial.ts): opens a device, has it compute what is known, and prints what came of it as JSON. */
import { openDevice } from "../engine/devices/choose.ts";
import type { Device } from "../engine/devices/device.ts";
import { firstLineOf } from "../engine/devices/first-line.ts";
import { tryDevice } from "../engine/devices/trial.ts";
import type { Answer, TrialRequest } from "./trial.ts";

async function opened({ devicesDir, ...wanted }: TrialRequest): Promise<Device> {
  if ("device" in wanted) return openDevice(wanted.device, { devicesDir });
  const { createTensorflowDevice } = await import("../engine/devices/tensorflow/tensorflow.ts");
  return createTensorflowDevice(devicesDir, wanted.installed);
}

async function tried(request: TrialRequest): Promise<Answer> {
  try {
    const device = await opened(request);
    await tryDevice(device);
    const onGpu = "onGpu" in device && device.onGpu === true;
    return { opens: true, description: device.description, precisions: [...device.precisions], onGpu };
  } catch (error) {
    return { opens: false, why: firstLineOf(error) };
  }
}

const answer = await tried(JSON.parse(process.argv[2] ?? "") as TrialRequest);
// A library's threads may hold the process.
process.stdout.write(`\n${JSON.stringify(answer)}\n`, () => process.exit());
