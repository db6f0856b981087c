/**
 * A process of subscribers, so that the gateway is measured and not its clients. They read the protocols by hand and look
 * for a message's cursor alone: a client of the service does more with each.
 */
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { WebSocket } from "ws";
import { invariant } from "../../schema/errors.ts";
import { type Plan, type Report, type Subscriber, committedSchema, planSchema } from "./plan.ts";

/** A slow one reads for a moment, and then not for a while. */
const [readMs, restMs] = [50, 950];
const againMs = 250;

interface Receiver extends Subscriber {
  cursor: number;
  /** When it received each step after its first cursor. */
  readonly at: number[];
  wrong: number;
  broken: number;
}

process.once("message", (message) => {
  const plan = planSchema.parse(message);
  const receivers = plan.subscribers.map((one) => ({ ...one, cursor: one.after, at: [], wrong: 0, broken: 0 }));
  process.once("message", (said) => {
    process.send?.(reportOf(receivers, committedSchema.parse(said).committed), () => process.exit(0));
  });
  void begin(plan, receivers).then(() => process.send?.({ ready: true }));
});

/** A few at a time: the gateway is not measured at how fast it accepts. */
async function begin({ url }: Plan, receivers: readonly Receiver[]): Promise<void> {
  for (let first = 0; first < receivers.length; first += 20)
    await Promise.all(receivers.slice(first, first + 20).map((one) => subscribe(url, one)));
}

function subscribe(url: string, receiver: Receiver): Promise<void> {
  return receiver.transport === "sse" ? overSse(url, receiver) : overWebSocket(url, receiver);
}

function overWebSocket(url: string, receiver: Receiver): Promise<void> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/graphql`, "graphql-transport-ws", {
    perMessageDeflate: false,
  });
  const send = (message: object) => socket.send(JSON.stringify(message));
  let ended = false;
  return new Promise((resolve) => {
    socket.on("open", () => send({ type: "connection_init" }));
    socket.on("message", (data: Buffer) => {
      const text = data.toString();
      if (text.includes('"type":"connection_ack"')) {
        const variables = { id: receiver.id, after: receiver.cursor };
        send({ id: "1", type: "subscribe", payload: { query: receiver.query, variables } });
        pace(receiver, socket);
        resolve();
      }
      if (text.includes('"type":"complete"')) ended = true;
      receive(receiver, text);
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      if (!ended) again(url, receiver);
    });
  });
}

function overSse(url: string, receiver: Receiver): Promise<void> {
  const body = JSON.stringify({ query: receiver.query, variables: { id: receiver.id, after: receiver.cursor } });
  const headers = { "content-type": "application/json", accept: "text/event-stream" };
  return new Promise((resolve) => {
    const asked: ClientRequest = request(`${url}/graphql`, { method: "POST", headers, agent: false });
    asked.on("error", () => again(url, receiver));
    asked.on("response", (response) => {
      readEvents(response, receiver, () => again(url, receiver));
      pace(receiver, response);
      resolve();
    });
    asked.end(body);
  });
}

function readEvents(response: IncomingMessage, receiver: Receiver, broken: () => void): void {
  let rest = "";
  let ended = false;
  response.setEncoding("utf8");
  response.on("data", (chunk: string) => {
    const blocks = (rest + chunk).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      if (block.includes("event: complete")) ended = true;
      receive(receiver, block);
    }
  });
  response.on("error", () => {});
  response.on("close", () => {
    if (!ended) broken();
  });
}

function again(url: string, receiver: Receiver): void {
  receiver.broken += 1;
  setTimeout(() => void subscribe(url, receiver), againMs);
}

function pace({ pace: how }: Receiver, stream: { pause(): unknown; resume(): unknown }): void {
  if (how === "stalled") stream.pause();
  if (how !== "slow") return;
  setInterval(() => {
    stream.resume();
    setTimeout(() => stream.pause(), readMs);
  }, readMs + restMs).unref();
}

function receive(receiver: Receiver, text: string): void {
  const [, found] = /"cursor":(\d+)/u.exec(text) ?? [];
  if (found === undefined) return;
  const step = Number(found);
  if (step === receiver.cursor + 1) receiver.at.push(Date.now());
  else receiver.wrong += 1;
  receiver.cursor = step;
}

function reportOf(receivers: readonly Receiver[], committed: readonly (readonly number[])[]): Report {
  const report = { delays: { fast: [] as number[], slow: [] as number[] }, complete: { fast: 0, slow: 0 } };
  for (const { run, after, at, pace: how, cursor, wrong } of receivers) {
    const times = committed[run];
    invariant(times, `run ${run} was trained`);
    if (how === "stalled") continue;
    if (cursor === times.length && wrong === 0) report.complete[how] += 1;
    at.forEach((received, index) => {
      const when = times[after + index] ?? Number.NaN;
      // What was there before it subscribed tells nothing.
      if (when > 0) report.delays[how].push(received - when);
    });
  }
  const { user, system } = process.cpuUsage();
  const sum = (key: "wrong" | "broken") => receivers.reduce((total, one) => total + one[key], 0);
  return { ...report, wrong: sum("wrong"), broken: sum("broken"), cpuSeconds: (user + system) / 1e6 };
}
