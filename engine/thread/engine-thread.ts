/**
 * The thread that computes, so that a long step never keeps the worker from renewing its lease. It is started for one
 * request, answers with messages, and waits while the worker has too many of them still to handle.
 */
import { once } from "node:events";
import { parentPort, workerData } from "node:worker_threads";
import { chooseDevice } from "../devices/choose.ts";
import { invariant } from "../../schema/errors.ts";
import { measureRun } from "../estimate/measure.ts";
import { evaluateModel } from "../train/evaluate-model.ts";
import { runFineTune } from "../train/run.ts";
import { runMaterialise } from "../replay/rebuild.ts";
import { markingCalls } from "./foreign.ts";
import type { ControlMessage, EngineMessage, EngineThreadData } from "./messages.ts";
import { failedMessage } from "./messages.ts";
import { trainerTurns } from "./turns.ts";

/** Unhandled messages, at most: at two thousand steps a second, half a second of a slow database. */
const maxUnhandled = 1_000;

const port = parentPort;
invariant(port, "engine-thread.ts runs in a worker thread");
const { request, device: wanted, marks, turns: place } = workerData as EngineThreadData;
const turns = place && trainerTurns(place);

let stopping = false;
let leaving = false;
let unhandled = 0;
port.on("message", (message: ControlMessage) => {
  if (message.type === "stop") stopping = true;
  else if (message.type === "leave") leaving = true;
  else unhandled -= 1;
});

try {
  const { device } = await chooseDevice(wanted.name, wanted);
  for await (const message of messages(device)) await send(message);
} catch (error) {
  await send(failedMessage(error));
}
port.close();

function messages(device: Awaited<ReturnType<typeof chooseDevice>>["device"]): AsyncIterable<EngineMessage> {
  const isStopping = () => stopping;
  const between = turns ? () => turns.between() : undefined;
  if (request.kind === "FINE_TUNE")
    return runFineTune(request, device, isStopping, markingCalls(marks), between, () => leaving);
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
