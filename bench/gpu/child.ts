/**
 * One measurement of bench/gpu.sh, in a process of its own: `child.js KIND JSON`. It prints a line "RESULT {...}" at its end.
 * Its memory and its libraries go with it, and a crash of the library takes nothing else.
 */
import { invariant } from "../../schema/errors.ts";
import { openDevice } from "../device.ts";
import type { BitsTask } from "./bits.ts";
import { compareBits } from "./bits.ts";
import type { Opening } from "./faults.ts";
import { runEveryOperation } from "./operations.ts";
import type { ReplayTask } from "./replay.ts";
import { measureReplay } from "./replay.ts";
import type { StepTask } from "./step.ts";
import { measureStep } from "./step.ts";

interface Task {
  readonly device: string;
}

const kinds: Readonly<Record<string, (task: never) => Promise<unknown>>> = {
  open,
  bits: async (task: Task & BitsTask) => compareBits(await openDevice(task), task.vocabulary),
  operations: ({ device }: Task) => runEveryOperation(device),
  step: (task: Task & StepTask) => measureStep(task),
  replay: (task: Task & ReplayTask) => measureReplay(task),
};

/** Opens the device and computes a little. */
async function open({ device: name }: Task): Promise<Opening> {
  const device = await openDevice({ device: name });
  const weight = device.createWeight({ name: "w", shape: [1, 2], dtype: "F32", trainable: false }, new Uint8Array(8));
  const read = await device.readWeight(weight);
  invariant(read.length === 8, "what was stored can be read");
  device.dispose();
  const onGpu = "onGpu" in device ? device.onGpu === true : null;
  return { device: device.description, precisions: device.precisions, onGpu };
}

const [, , kind = "", json = "{}"] = process.argv;
const work = kinds[kind];
invariant(work, `${kind} is a kind of measurement`);
console.log(`RESULT ${JSON.stringify(await work(JSON.parse(json) as never))}`);
