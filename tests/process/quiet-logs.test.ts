/**
 * No text of a user and no secret is in the logs of a real gateway and a real worker, at their most talkative: not of what
 * went well, nor of rows that are wrong, webhooks that fail, statements that Postgres refuses, files that are damaged, and
 * faults that end the process.
 */
import { createHash } from "node:crypto";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { demoBase } from "../../cli/service.ts";
import { blobName } from "../../store/blobs/blobs.ts";
import { rowId } from "../server/harness.ts";
import { startReceiver } from "../server/webhook-receiver.ts";
import { directly } from "../store/fixtures.ts";
import type { Running } from "../support/processes.ts";
import { type TestService, testService, until } from "./service.ts";

const word = "quixotzy";
const token = `${word}-token`;

/** On SIGUSR2, a fault as a driver of a database or a parser may throw it: with texts in its message and beside it. */
const faulty = `--import=data:text/javascript,${encodeURIComponent(
  `process.on("SIGUSR2", () => setTimeout(() => {
     const word = "${word.slice(0, 4)}" + "${word.slice(4)}"; // The lines of the stack name this text.
     throw Object.assign(new Error("Failed query: " + word), { query: word, parameters: [word] });
   }));`,
)}`;

test("nothing that a user wrote, and no key, is in the logs", { timeout: 90_000 }, async () => {
  const service = await testService();
  await cp(demoBase, join(service.folder, "models", "demo"), { recursive: true });
  const receiver = await startReceiver();
  onTestFinished(() => receiver.close());
  receiver.answer = (_request, response) => void response.writeHead(500).end(`${word} ${receiver.received[0]?.body}`);
  const env = { STEPLOG_LOG_LEVEL: "debug", STEPLOG_API_TOKEN: token, NODE_OPTIONS: faulty };
  // It registers the model, and then no run begins until its rows are damaged.
  const first = await service.startWorker(env);
  expect(await first.kill("SIGTERM")).toBe(0);
  const { running, url } = await service.startServer(0, { ...env, STEPLOG_WEBHOOK_ALLOW_PRIVATE: "localhost" });
  const ask = asking(url);

  const hook = await ask(`mutation { createWebhook(input: { url: "${receiver.url}?${word}" }) { secret } }`);
  const { secret } = of(hook, "createWebhook");
  const made = await ask(`mutation { createApiKey(input: { name: "${word}", scopes: [ADMIN] }) { key } }`);
  const { key } = of(made, "createApiKey");
  expect(await (await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${key}` } })).text()).toContain(
    "demo",
  );
  await fetch(`${url}/v1/models?${word}`, { headers: { authorization: `Bearer ${word}-wrong` } });

  // Rows that are right, and that are wrong in several ways.
  const rows = (extra: string) =>
    Array.from({ length: 4 }, (_, n) => JSON.stringify({ prompt: `${word} ${n}${extra}`, completion: " good" })).join(
      "\n",
    );
  const good = await createDataset(ask, rows(""));
  const damaged = await createDataset(ask, rows("!"));
  for (const jsonl of [
    `{"prompt": "${word}`,
    `{"${word}": 1}`,
    `{"prompt": 1, "completion": "${word}"}`,
    `\\ud800${word}`,
  ])
    expect((await dataset(ask, jsonl)).errors).toHaveLength(1);
  await refusedByPostgres(service, ask);

  const runs = [await createRun(ask, good), await createRun(ask, damaged)];
  await damage(service, damaged);
  const worker = await service.startWorker(env);
  await complete(ask, url);
  for (const [index, status] of ["SUCCEEDED", "FAILED"].entries()) {
    const current = async () => of(await ask(`{ fineTune(id: "${runs[index]}") { status } }`), "fineTune");
    await until(`run ${index}`, 40_000, async () => (await current()).status === status);
  }
  await receiver.until(1);
  await until("the failed delivery", 10_000, () => running.output().includes("a webhook was not delivered"));
  for (const one of [running, worker]) expect(await one.kill("SIGUSR2")).toBe(1);

  expect(running.output()).toMatch(/"request failed"/u);
  expect(running.output()).toMatch(/"code":"23514"/u);
  expect(worker.output()).toContain("The job ended with an error");
  for (const one of [running, worker]) checkQuiet(one, [secret, key]);
});

function checkQuiet(running: Running, secrets: readonly string[]): void {
  const lines = running.output().split("\n");
  expect(lines.some((line) => line.includes("A fault ends the process."))).toBe(true);
  expect(
    lines.filter((line) => [word, ...secrets].some((text) => line.toLowerCase().includes(text.toLowerCase()))),
  ).toEqual([]);
}

/** What is asked for, of whichever field. */
interface Made {
  readonly id: string;
  readonly key: string;
  readonly secret: string;
  readonly status: string;
  readonly fineTune: { readonly id: string };
}

interface Answer {
  readonly data?: Readonly<Record<string, Made>> | null;
  readonly errors?: readonly { readonly extensions: { readonly code: string } }[];
}
type Ask = (query: string, variables?: object) => Promise<Answer>;

function asking(url: string): Ask {
  return async (query, variables = {}) => {
    const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
    const response = await fetch(`${url}/graphql`, {
      method: "POST",
      headers,
      body: JSON.stringify({ query, variables }),
    });
    return (await response.json()) as Answer;
  };
}

/** @throws with the errors of the answer */
function of({ data, errors }: Answer, field: string): Made {
  const made = data?.[field];
  if (!made || errors) throw new Error(JSON.stringify(errors));
  return made;
}

function dataset(ask: Ask, jsonl: string, name = word): Promise<Answer> {
  const query = "mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { id } }";
  return ask(query, { input: { name, jsonl } });
}

async function createDataset(ask: Ask, jsonl: string): Promise<string> {
  return of(await dataset(ask, jsonl), "createDataset").id;
}

async function createRun(ask: Ask, id: string): Promise<string> {
  const query = "mutation ($input: CreateFineTuneInput!) { createFineTune(input: $input) { fineTune { id } } }";
  const hyperparameters = { steps: 2, batchSize: 2, learningRate: 1e-4 };
  const labels = { labelWords: [" good", " bad"], tags: [word], metadata: [{ key: word, value: word }] };
  const made = await ask(query, {
    input: { name: word, baseModel: "demo", dataset: id, hyperparameters, ...labels },
  });
  return of(made, "createFineTune").fineTune.id;
}

/** A statement fails whose parameters have what the user wrote. */
async function refusedByPostgres({ env }: TestService, ask: Ask): Promise<void> {
  const url = env["DATABASE_URL"] ?? "";
  await directly(url, (sql) => sql`alter table datasets add constraint short check (length(name) < 100)`);
  const { errors } = await dataset(ask, `{"prompt":"${word}","completion":"a"}`, word.repeat(20));
  expect(errors?.[0]?.extensions.code).toBe("INTERNAL");
}

/** Other rows in the place of a dataset's, with a completion that is no label word. */
async function damage({ folder, env }: TestService, id: string): Promise<void> {
  const rows = JSON.stringify({ prompt: word, completion: ` ${word}` });
  const sha256 = createHash("sha256").update(rows).digest("hex");
  const path = join(folder, "storage", "blobs", blobName(sha256));
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, rows);
  const change = { sha256, bytes: rows.length };
  await directly(env["DATABASE_URL"] ?? "", (sql) => sql`update datasets set ${sql(change)} where id = ${rowId(id)}`);
}

/** A request that is answered, and some that are not. */
async function complete(ask: Ask, url: string): Promise<void> {
  const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
  const post = async (path: string, body: object) =>
    (await fetch(`${url}${path}`, { method: "POST", headers, body: JSON.stringify(body) })).status;
  const prompt = `The ${word} was`;
  expect(await post("/v1/completions", { model: "demo", prompt, max_tokens: 3 })).toBe(200);
  expect(await post("/v1/completions", { model: word, prompt })).toBe(404);
  expect(await post("/v1/chat/completions", { model: "demo", messages: [{ role: word, content: word }] })).toBe(400);
  const { errors } = await ask(
    `mutation ${word} { createCompletion(input: { model: { name: "${word}" }, prompt: "${prompt}" }) { created } }`,
  );
  expect(errors).toHaveLength(1);
}
