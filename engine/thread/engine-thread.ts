/**
 * The thread that computes, one request at a time, so that a long step never keeps the worker from renewing its lease.
 * It is started for a request, answers with messages, and waits when too many of them have not been taken.
 */
import { once } from "node:events";
import { parentPort, workerData } from "node:worker_threads";
import { chooseDevice } from "../devices/choose.ts";
import { invariant } from "../../schema/errors.ts";
import { runFineTune } from "../train/run.ts";
import { runMaterialise } from "../replay/rebuild.ts";
import type { ControlMessage, EngineMessage, EngineThreadData } from "./messages.ts";
import { failedMessage } from "./messages.ts";

/** Messages under way: at two thousand steps a second, half a second of a store that does not answer. */
const maxUntaken = 1_000;

const port = parentPort;
invariant(port, "the engine runs in a thread of its own");
const { request, deviceName, threads } = workerData as EngineThreadData;

let stopping = false;
let untaken = 0;
port.on("message", (message: ControlMessage) => {
  if (message.type === "stop") stopping = true;
  else untaken -= 1;
});

try {
  const { device } = await chooseDevice(deviceName, { threads });
  for await (const message of messages(device)) await send(message);
} catch (error) {
  await send(failedMessage(error));
}
port.close();

function messages(device: Awaited<ReturnType<typeof chooseDevice>>["device"]): AsyncIterable<EngineMessage> {
  return request.kind === "FINE_TUNE" ? runFineTune(request, device, () => stopping) : runMaterialise(request, device);
}

function tooManyUntaken(): boolean {
  return untaken > maxUntaken;
}

async function send(message: EngineMessage): Promise<void> {
  invariant(port, "the engine runs in a thread of its own");
  port.postMessage(message);
  untaken += 1;
  // Lets a request to stop in, which devices that compute without waiting would otherwise keep out.
  await new Promise(setImmediate);
  while (tooManyUntaken()) await once(port, "message");
}
