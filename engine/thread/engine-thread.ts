/**
 * The thread that computes, so that a long step never keeps the worker from renewing its lease. It is given a request, answers
 * with messages, and waits while the worker has too many of them still to handle. One whose request was done may be given another.
 */
import { once } from "node:events";
import { parentPort, workerData } from "node:worker_threads";
import { chooseDevice } from "../devices/choose.ts";
import type { Device } from "../devices/device.ts";
import { invariant } from "../../schema/errors.ts";
import { measureRun } from "../estimate/measure.ts";
import { evaluateModel } from "../train/evaluate-model.ts";
import { runFineTune } from "../train/run.ts";
import { WarmInputs } from "../train/warm-inputs.ts";
import { runMaterialise } from "../replay/rebuild.ts";
import { markingCalls } from "./foreign.ts";
import type { ControlMessage, EngineMessage, EngineRequest, EngineThreadData } from "./messages.ts";
import { failedMessage } from "./messages.ts";
import { residentMemory } from "./resident-memory.ts";
import { trainerTurns } from "./turns.ts";

/** Unhandled messages, at most: at two thousand steps a second, half a second of a slow database. */
const maxUnhandled = 1_000;

const port = parentPort;
invariant(port, "engine-thread.ts runs in a worker thread");
const { device: wanted, marks, turns: place } = workerData as EngineThreadData;
const turns = place && trainerTurns(place);
const warm = new WarmInputs();

let stopping = false;
let leaving = false;
let unhandled = 0;
port.on("message", (message: ControlMessage) => {
  if (message.type === "stop") stopping = true;
  else if (message.type === "leave") leaving = true;
  else if (message.type === "taken") unhandled -= 1;
  else void answer(message.request);
});

/**
 * What was said of the request before is over. The device forgets its weights, so that nothing of it is left but inputs that the
 * next run may have too.
 */
async function answer(request: EngineRequest): Promise<void> {
  [stopping, leaving, unhandled] = [false, false, 0];
  try {
    const { device } = await chooseDevice(wanted.name, wanted);
    for await (const message of messages(request, device)) await send(message);
    device.dispose();
  } catch (error) {
    await send(failedMessage(error));
  }
}

function messages(request: EngineRequest, device: Device): AsyncIterable<EngineMessage> {
  const isStopping = () => stopping;
  const between = turns ? () => turns.between() : undefined;
  if (request.kind === "FINE_TUNE")
    return runFineTune(request, device, isStopping, {
      calls: markingCalls(marks),
      between,
      leaving: () => leaving,
      gauge: residentMemory,
      warm,
    });
  if (request.kind === "MEASURE") return measureRun(request, device, isStopping, markingCalls(marks));
  if (request.kind === "EVALUATE") return evaluateModel(request, device, isStopping, markingCalls(marks), between);
  return runMaterialise(request, device, { stopping: isStopping, ...(between && { between }) });
}

function tooManyUnhandled(): boolean {
  return unhandled > maxUnhandled;
}

async function send(message: EngineMessage): Promise<void> {
  invariant(port, "engine-thread.ts runs in a worker thread");
  port.postMessage(message);
  unhandled += 1;
  // Lets the event loop receive a stop message; devices that never await would block it.
  await new Promise(setImmediate);
  while (tooManyUnhandled()) {
    turns?.leave();
    await once(port, "message");
  }
}
