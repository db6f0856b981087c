/** A server with a real store, a client for it, and a fake worker that computes nothing. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient, type Client } from "graphql-ws";
import { pino } from "pino";
import postgres from "postgres";
import { WebSocket } from "ws";
import { Sandbox } from "../../sandbox/sandbox.ts";
import { leaseMs } from "../../schema/limits.ts";
import { Chain, encodeHeader, packScalars, ruleSeed, type StepLogHeader } from "../../schema/step-log.ts";
import { startServer, type RunningServer, type ServerConfig } from "../../server/server.ts";
import type { BaseModel } from "../../schema/tables.ts";
import type { ClaimedJob, Store, StoreOptions } from "../../store/store.ts";
import { testStore } from "../support/postgres.ts";
import { claimAny } from "../support/claims.ts";

export interface GraphQLIssue {
  readonly line?: number;
  readonly field?: string;
  readonly message: string;
}

export interface GraphQLAnswer<T> {
  readonly data?: T | null;
  readonly errors?: readonly {
    message: string;
    path?: readonly (string | number)[];
    extensions: { code: string; issues: readonly GraphQLIssue[] };
  }[];
}

export interface TestServer extends RunningServer {
  readonly store: Store;
  readonly model: BaseModel;
  readonly logged: string[];
  readonly uploadsDir: string;
  readonly modelsDir: string;
  readonly databaseUrl: string;
  /** Jobs and completions that there are. */
  readonly queued: () => Promise<{ jobs: number; completions: number }>;
  readonly gql: <T = object>(query: string, variables?: object) => Promise<GraphQLAnswer<T>>;
  /** The same, but throws if the answer has errors. */
  readonly ask: <T>(query: string, variables?: object) => Promise<T>;
  /** A second server with the same store and folders. */
  readonly another: (options?: Partial<ServerConfig>) => Promise<RunningServer>;
  readonly dispose: () => Promise<void>;
}

/** Context of the test model in tokens. Its tokenizer makes one token of each byte. */
export const contextLength = 64;

/** Its processes are shared by the tests of a process. They do not keep it from ending. */
const sandbox = new Sandbox();

export async function testServer(
  options: Partial<ServerConfig> = {},
  storeOptions: Partial<StoreOptions> = {},
): Promise<TestServer> {
  const database = await testStore(storeOptions);
  const { store } = database;
  const folder = await mkdtemp(join(tmpdir(), "steplog-server-"));
  const modelsDir = join(folder, "models");
  await writeTokenizer(join(modelsDir, "bytes"));
  const model = await store.baseModels.register(modelRow("bytes"));
  const logged: string[] = [];
  const log = pino({ level: "debug" }, { write: (line: string) => void logged.push(line) });
  const config = {
    store,
    log,
    sandbox,
    promptSandbox: sandbox,
    host: "127.0.0.1",
    port: 0,
    modelsDir,
    uploadsDir: join(folder, "uploads"),
    ...options,
  };
  const server = await startServer(config);
  const sql = postgres(database.url, { max: 1, onnotice: () => {} });
  const gql: TestServer["gql"] = async (query, variables) => {
    const response = await fetch(`${server.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query, variables }),
    });
    return (await response.json()) as never;
  };
  return {
    ...server,
    store,
    model,
    logged,
    uploadsDir: config.uploadsDir,
    modelsDir,
    databaseUrl: database.url,
    queued: async () => {
      const [counts] = await sql<{ jobs: number; completions: number }[]>`select
        (select count(*)::int from jobs) as jobs, (select count(*)::int from completions) as completions`;
      if (!counts) throw new Error("a count has a row");
      return { ...counts };
    },
    gql,
    ask: async <T>(query: string, variables?: object) => {
      const { data, errors } = await gql<T>(query, variables);
      if (!data || errors)
        throw new Error(`the answer has errors: ${JSON.stringify(errors)} ${logged.slice(-3).join("")}`);
      return data;
    },
    another: (more = {}) => startServer({ ...config, ...more }),
    dispose: async () => {
      await server.close();
      await sql.end();
      await database.drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export function modelRow(name: string) {
  const hash = Buffer.from(name).toString("hex").padEnd(64, "0");
  return { name, hash, family: "llama", dtype: "F32", parameters: 5_000_000_000, bytes: 20_000_000_000, contextLength };
}

async function writeTokenizer(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const bytes = Array.from({ length: 256 }, (_, byte) => [byteCharacter(byte), byte] as const);
  const tokenizer = {
    version: "1.0",
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: "ByteLevel" },
    model: { type: "BPE", vocab: Object.fromEntries(bytes), merges: [] },
  };
  await writeFile(join(folder, "tokenizer.json"), JSON.stringify(tokenizer));
}

/** Writes names of tools, then turns as "role: content"; refuses a system's. */
const chatTemplate =
  "{% if tools %}{% for tool in tools %}[{{ tool.function.name }}]{% endfor %}{% endif %}" +
  "{% for message in messages %}{% if message.role == 'system' %}{{ raise_exception('no system message, please') }}{% endif %}" +
  "{{ message.role }}: {{ message.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";

/** A base model with a tokenizer of bytes and a chat template. */
export async function chatModel(server: TestServer, name: string): Promise<BaseModel> {
  const folder = join(server.modelsDir, name);
  await writeTokenizer(folder);
  await writeFile(join(folder, "tokenizer_config.json"), JSON.stringify({ chat_template: chatTemplate }));
  await writeFile(join(folder, "config.json"), JSON.stringify({ vocab_size: 256 }));
  return server.store.baseModels.register(modelRow(name));
}

/** The visible character that GPT-2 uses for a byte. */
function byteCharacter(byte: number): string {
  const visible = (code: number) => (code >= 33 && code <= 126) || (code >= 161 && code <= 172) || code >= 174;
  if (visible(byte)) return String.fromCodePoint(byte);
  const before = Array.from({ length: byte }, (_, code) => code).filter((code) => !visible(code)).length;
  return String.fromCodePoint(256 + before);
}

export const rows = (count: number) =>
  Array.from({ length: count }, (_, index) => JSON.stringify({ prompt: `${index} is`, completion: " good" })).join(
    "\n",
  );

export async function createDataset(server: Pick<TestServer, "ask">, name = "rows", jsonl = rows(3)): Promise<string> {
  const query = "mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { id } }";
  const data = await server.ask<{ createDataset: { id: string } }>(query, { input: { name, jsonl } });
  return data.createDataset.id;
}

export const createFineTuneMutation = `
  mutation ($input: CreateFineTuneInput!) {
    createFineTune(input: $input) { created fineTune { id name status } }
  }`;

export interface CreatedFineTune {
  readonly createFineTune: { created: boolean; fineTune: { id: string; name: string; status: string } };
}

export async function createFineTune(
  server: Pick<TestServer, "ask">,
  hyperparameters: object = {},
  name = "run",
  more: object = {},
): Promise<string> {
  const input = { name, baseModel: "bytes", dataset: await createDataset(server), hyperparameters, ...more };
  return (await server.ask<CreatedFineTune>(createFineTuneMutation, { input })).createFineTune.fineTune.id;
}

export const globalId = (type: string, id: string) => Buffer.from(`${type}:${id}`).toString("base64");
export const rowId = (id: string) => Buffer.from(id, "base64").toString().split(":")[1] ?? "";

type Metrics = Parameters<Store["appendSteps"]>[1]["metrics"][number];

/** Acts as a worker through the store, with made-up losses. */
export class FakeWorker {
  readonly store: Store;
  readonly job: ClaimedJob;
  #chain: Chain;
  step = 0;

  private constructor(store: Store, job: ClaimedJob, chain: Chain) {
    this.store = store;
    this.job = job;
    this.#chain = chain;
  }

  /** Claims the oldest job, which the test has just created, and starts its log. */
  static async claim(store: Store, pickedRate: number | null = null, worker = "test"): Promise<FakeWorker> {
    const job = await claimAny(store, worker, leaseMs * 50);
    if (!job) throw new Error("there is no job to claim");
    const headerBytes = encodeHeader(await headerOf(store, job));
    const chain = Chain.start(headerBytes);
    await store.beginLog(job, { headerBytes, chain: chain.hash, device: "plain: a test", pickedRate });
    return new FakeWorker(store, job, chain);
  }

  get chain(): Uint8Array {
    return this.#chain.hash;
  }

  /** @param measured of a step, instead of what is made up */
  async train(steps: number, measured: (step: number) => Partial<Metrics> = () => ({})): Promise<void> {
    const scalars = Array.from({ length: steps }, (_, index) => ((this.step + index) % 16) / 16);
    scalars.forEach((scalar, index) => this.#chain.add({ seed: ruleSeed(0, this.step + index), scalar }));
    await this.store.appendSteps(this.job, {
      firstEntry: this.step,
      scalars: packScalars(scalars),
      decays: null,
      chainAfter: this.#chain.hash,
      metrics: scalars.map((scalar, index) => ({
        step: this.step + index + 1,
        loss: 1 + scalar,
        projectedGradient: scalar,
        learningRate: 1e-6,
        skipped: null,
        zero: false,
        seconds: 0.25,
        ...measured(this.step + index + 1),
      })),
      tokens: 10 * steps,
    });
    this.step += steps;
  }

  checkpoint() {
    const checkpoint = { entries: this.step, step: this.step, chain: this.chain, weightsDigest: "ab".repeat(32) };
    return this.store.recordCheckpoint(this.job, checkpoint);
  }

  succeed(): Promise<void> {
    return this.store.finishFineTune(this.job, { status: "SUCCEEDED" });
  }
}

async function headerOf(store: Store, { subject }: ClaimedJob): Promise<StepLogHeader> {
  const fineTune = await store.fineTunes.get(subject);
  const baseModel = await store.baseModels.get(fineTune?.baseModelId ?? "");
  if (!fineTune || !baseModel) throw new Error("the job trains a run");
  const trainable = [{ name: "weight", shape: [4, 4], dtype: "F32" as const }];
  const { seed, steps } = fineTune.hyperparameters;
  return { format: 1, base: baseModel.hash, trainable, noise: "rademacher", seed, hyperparameters: { steps } };
}

export function wsClient(server: RunningServer, options: Partial<Parameters<typeof createClient>[0]> = {}): Client {
  return createClient({
    url: `${server.url.replace("http", "ws")}/graphql`,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    ...options,
  });
}

/** All payloads of a stream, until it completes or `enough` of them have arrived. */
export async function collect<T>(
  client: Client,
  query: string,
  variables: Record<string, unknown>,
  enough = Number.POSITIVE_INFINITY,
): Promise<T[]> {
  const payloads: T[] = [];
  for await (const { data, errors } of client.iterate<T>({ query, variables })) {
    if (errors) throw new Error(JSON.stringify(errors));
    if (data) payloads.push(data);
    if (payloads.length >= enough) break;
  }
  return payloads;
}
