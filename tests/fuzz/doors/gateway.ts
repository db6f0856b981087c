/** The gateway: raw sockets, HTTP, GraphQL and its WebSocket, on a server of this process. */
import { cp } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { pino } from "pino";
import { WebSocket } from "ws";
import { Sandbox } from "../../../sandbox/sandbox.ts";
import { packagePath } from "../../../schema/package.ts";
import { startServer } from "../../../server/server.ts";
import { openStore } from "../../../store/store.ts";
import type { Door, OpenDoor } from "../door.ts";
import type { Random } from "../mutate.ts";
import { mutateBytes, mutateJson } from "../mutate.ts";

interface Gateway {
  readonly url: string;
  readonly port: number;
  readonly close: () => Promise<void>;
}

async function startGateway(folder: string): Promise<Gateway> {
  const modelsDir = join(folder, "models");
  await cp(packagePath("demo/base"), join(modelsDir, "demo"), { recursive: true });
  const store = await openStore({ databaseUrl: process.env["DATABASE_URL"] ?? "", storageDir: join(folder, "blobs") });
  const size = { parameters: 300_000, bytes: 1_200_000, contextLength: 64 };
  await store.baseModels.register({ name: "demo", hash: "ab".repeat(32), family: "llama", dtype: "F32", ...size });
  const log = pino({ level: "silent" });
  const uploadsDir = join(folder, "uploads");
  const sandbox = new Sandbox();
  const server = await startServer({ store, sandbox, log, host: "127.0.0.1", port: 0, modelsDir, uploadsDir });
  return {
    url: server.url,
    port: Number(new URL(server.url).port),
    async close() {
      await server.close();
      sandbox.close();
      await store.close();
    },
  };
}

/** @throws if the answer is a fault of ours */
function refuseFaults(answer: string): void {
  if (/^HTTP\/1\.1 500|"code":"INTERNAL"/u.test(answer))
    throw new Error(`the gateway answered: ${answer.slice(0, 1_000)}`);
  if (/\n\s+at .*\.[jt]s:\d+/u.test(answer)) throw new Error(`the answer has a stack: ${answer.slice(0, 1_000)}`);
}

async function stillAnswers(url: string): Promise<void> {
  const { status } = await fetch(`${url}/healthz`);
  if (status !== 200) throw new Error(`/healthz answers ${status}`);
}

const body = JSON.stringify({ query: "{ fineTunes(first: 2) { nodes { id name } } }" });
const upgrade =
  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const head = "Host: localhost\r\nConnection: close\r\n";
const rows = '{"prompt":"a","completion":"b"}\n';
const json = `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`;

const requests = [
  `GET // HTTP/1.1\r\nHost: localhost\r\n${upgrade}\r\n`,
  `GET /graphql HTTP/1.1\r\nHost: localhost\r\n${upgrade}Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n`,
  `GET / HTTP/1.1\r\n${head}\r\n`,
  `GET /graphql?query=%7B__typename%7D&variables=%7B%7D HTTP/1.1\r\n${head}Accept: text/event-stream\r\n\r\n`,
  `GET /checkpoints/Q2hlY2twb2ludDox/log.steplog HTTP/1.1\r\n${head}Range: bytes=0-5\r\n\r\n`,
  `OPTIONS /graphql HTTP/1.1\r\n${head}Origin: http://localhost:3000\r\nAccess-Control-Request-Method: POST\r\n\r\n`,
  `POST /graphql HTTP/1.1\r\n${head}${json}\r\n${body}`,
  `POST /datasets?name=rows HTTP/1.1\r\n${head}Content-Length: ${rows.length}\r\n\r\n${rows}`,
  `POST /datasets?name=rows HTTP/1.1\r\n${head}Transfer-Encoding: chunked\r\n\r\n1f\r\n${rows}\r\n0\r\n\r\n`,
  `POST /uploads HTTP/1.1\r\n${head}Tus-Resumable: 1.0.0\r\nUpload-Length: 5\r\nUpload-Metadata: name cm93cw==\r\n\r\n`,
  `PATCH /uploads/0123456789abcdef0123456789abcdef HTTP/1.1\r\n${head}Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\nContent-Length: 5\r\n\r\nhello`,
].map((text) => Buffer.from(text));

const giveUpMs = 2_000;
const atOnce = 8;

/** What a raw socket gets until it is closed; a request that the server waits to be completed is given up. */
function exchange(port: number, bytes: Uint8Array): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const chunks: Buffer[] = [];
    const end = () => {
      socket.destroy();
      resolve(Buffer.concat(chunks).toString("latin1"));
    };
    socket.setTimeout(giveUpMs, end);
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("error", end).on("close", end);
    socket.end(bytes);
  });
}

async function rawSockets(folder: string): Promise<Door> {
  const { url, port, close } = await startGateway(folder);
  return {
    input: (random) => mutateBytes(random.of(requests), random),
    async feed(bytes) {
      refuseFaults(await exchange(port, bytes));
      await stillAnswers(url);
    },
    atOnce,
    close,
  };
}

const input = {
  name: "x",
  baseModel: "demo",
  dataset: "RGF0YXNldDox",
  hyperparameters: { steps: 5, learningRate: 1e-4 },
};
const messages = {
  messages: [
    { role: "user", content: "Hi" },
    { role: "assistant", content: "Yes" },
  ],
};
const operations = [
  { query: "{ __typename baseModels(first: 2) { nodes { id name } pageInfo { endCursor } } }" },
  {
    query: "query($id: ID!) { node(id: $id) { id ... on FineTune { name progress { step } } } }",
    variables: { id: "eDox" },
  },
  {
    query: "mutation($input: CreateFineTuneInput!) { createFineTune(input: $input) { fineTune { id status } } }",
    variables: { input },
  },
  {
    query: "mutation($input: CreateDatasetInput!) { createDataset(input: $input) { dataset { id rows } } }",
    variables: { input: { name: "rows", jsonl: `${JSON.stringify(messages)}\n${rows}` } },
  },
  { query: "{ __schema { types { name fields { name type { name ofType { name } } } } } }", operationName: null },
].map((operation) => JSON.stringify(operation));

function mutateOperation(random: Random): Uint8Array {
  const operation = random.of(operations);
  if (random.below(3) > 0) return mutateJson(operation, random);
  const parsed = JSON.parse(operation) as { query: string };
  return Buffer.from(
    JSON.stringify({ ...parsed, query: Buffer.from(mutateBytes(Buffer.from(parsed.query), random)).toString() }),
  );
}

async function graphql(folder: string): Promise<Door> {
  const { url, close } = await startGateway(folder);
  return {
    input: mutateOperation,
    async feed(bytes) {
      const headers = { "content-type": "application/json" };
      const response = await fetch(`${url}/graphql`, { method: "POST", headers, body: Buffer.from(bytes) });
      refuseFaults(`HTTP/1.1 ${response.status}\n${await response.text()}`);
    },
    atOnce,
    close,
  };
}

/** Sends a message after the handshake, and waits until the server has seen it: it answers a ping, or closes. */
async function webSocket(folder: string): Promise<Door> {
  const { url, close } = await startGateway(folder);
  return {
    input(random) {
      const payload = JSON.parse(Buffer.from(random.of(operations)).toString()) as object;
      return mutateJson(JSON.stringify({ type: "subscribe", id: "1", payload }), random);
    },
    async feed(bytes) {
      const socket = new WebSocket(`${url.replace("http", "ws")}/graphql`, "graphql-transport-ws");
      let answers = "";
      await new Promise<void>((resolve) => {
        const end = () => {
          socket.terminate();
          resolve();
        };
        const timer = setTimeout(end, giveUpMs);
        socket.on("close", () => (clearTimeout(timer), end()));
        socket.on("error", end);
        socket.on("pong", end);
        socket.on("open", () => {
          socket.send('{"type":"connection_init"}');
          socket.send(bytes, { binary: false });
        });
        socket.on("message", (data: Buffer) => {
          answers += data.toString();
          if (!data.toString().includes("connection_ack")) socket.ping();
        });
      });
      refuseFaults(answers);
      await stillAnswers(url);
    },
    atOnce,
    close,
  };
}

export const gatewayDoors: Readonly<Record<string, OpenDoor>> = {
  "raw sockets": rawSockets,
  GraphQL: graphql,
  WebSocket: webSocket,
};
