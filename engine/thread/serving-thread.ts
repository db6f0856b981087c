/**
 * The thread that answers requests. It lives as long as its worker serves, keeps models warm, and handles messages between two
 * passes. While a run trains beside it the two take turns (turns.ts). A request that cannot be answered fails alone; what breaks
 * an invariant ends the thread.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import type { MessagePort } from "node:worker_threads";
import { parentPort, workerData } from "node:worker_threads";
import { invariant } from "../../schema/errors.ts";
import { version } from "../../schema/package.ts";
import { chooseDevice } from "../devices/choose.ts";
import type { Device } from "../devices/device.ts";
import { Serving } from "../serving/serve.ts";
import { markingCalls } from "./foreign.ts";
import type { FromServing, ServingThreadData, ToServing } from "./serving-messages.ts";
import { ServerTurns } from "./turns.ts";

const port = parentPort;
invariant(port, "serving-thread.ts runs in a worker thread");
const data = workerData as ServingThreadData;

const inbox: ToServing[] = [];
port.on("message", (message: ToServing) => inbox.push(message));
const send = (message: FromServing) => port.postMessage(message);

const { device, why } = await chooseDevice(data.device.name, data.device);
send({ type: "ready", deviceNote: `${device.description} (${why})`, fingerprint: fingerprintOf(device) });
await serve(device, port);
device.dispose();
port.close();

/** Until it is told to stop. */
async function serve(on: Device, from: MessagePort): Promise<void> {
  const calls = (request: number) => markingCalls(data.marks, request);
  const serving = new Serving(on, { ...data, calls, send, now: Date.now });
  const turns = new ServerTurns(data.turns, data);
  for (;;) {
    for (const message of inbox.splice(0)) {
      if (message.type === "stop") return serving.end();
      await serving.handle(message);
    }
    if (serving.hasWork) {
      await turns.take();
      const started = performance.now();
      await serving.step();
      turns.stepped(performance.now() - started, serving.hasWork);
    } else if (inbox.length === 0) await once(from, "message");
    // Lets the event loop receive messages; devices that never wait for anything would block it.
    await new Promise(setImmediate);
  }
}

/** What else equal seeds need for equal text. Threads change no bit. */
function fingerprintOf({ name, description }: Device): string {
  const kernels = description.replace(/, \d+ threads?$/u, "");
  return createHash("sha256").update(`${version}:${name}:${kernels}:${data.precision}`).digest("hex").slice(0, 16);
}
