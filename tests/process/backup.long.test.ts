/** A dump of a service in mid-run restores to a state from which the run goes on, to the same log. Real processes. */
import { execFile } from "node:child_process";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import type { SteplogClient } from "../../client/index.ts";
import { Chain, decodeStepLog } from "../../schema/step-log.ts";
import { type Receiver, startReceiver } from "../server/webhook-receiver.ts";
import { directly } from "../store/fixtures.ts";
import { firstTry } from "../support/first-try.ts";
import { testDatabase } from "../support/postgres.ts";
import { collectSteps, expectRebuilt } from "./follow.ts";
import { type TestService, createRun, testService, until } from "./service.ts";

const run = promisify(execFile);
const [steps, evaluateEvery] = [300, 30];
/** The embedded Postgres has no pg_dump; that of Debian's is of the server's release. */
const hasDump = Boolean(process.env["STEPLOG_TEST_DATABASE_URL"]);

test.runIf(hasDump)(
  "pg_dump in mid-run, with more that waits, and a restore in which all of it goes on",
  { ...firstTry, timeout: 300_000 },
  async () => {
    const service = await testService(undefined, { STEPLOG_WEBHOOK_ALLOW_PRIVATE: "localhost" });
    const { client } = await service.startServer();
    await service.startWorker({ STEPLOG_SERVE: "training" });
    const receiver = await refusing(client);
    const paused = await pausedRun(service, client);
    const id = await createRun(service, client, steps, { evaluateEvery });
    const queued = await createRun(service, client, steps, { evaluateEvery });
    const request = await waitingRequest(service, client);
    const { seen, done } = collectSteps(client, id);
    await until("some checkpoints", 60_000, () => seen.length > 70);
    await until("a refused message", 30_000, () => receiver.received.length > 0);
    const dump = join(service.folder, "dump");
    await run("pg_dump", ["--format=custom", `--file=${dump}`, service.env["DATABASE_URL"] ?? ""]);
    await done;
    const whole = await checkpointsOf(client, id);
    const log = await logOf(client, id);
    for (const one of service.started) await one.kill("SIGKILL");

    const database = await testDatabase({ empty: true });
    onTestFinished(() => database.drop());
    await run("pg_restore", ["--no-owner", "--exit-on-error", `--dbname=${database.url}`, dump]);
    await expectDumped(database.url, id, log);

    const restored = await testService(database.url, { STEPLOG_WEBHOOK_ALLOW_PRIVATE: "localhost" });
    await cp(join(service.folder, "storage"), join(restored.folder, "storage"), { recursive: true });
    receiver.received.length = 0;
    receiver.answer = (_request, response) => void response.writeHead(204).end();
    // Instead of waiting for the pause after the refusal.
    await directly(database.url, (sql) => sql`update webhook_deliveries set next_attempt_at = now()`);
    const again = (await restored.startServer()).client;
    await restored.startWorker();
    expect((await again.fineTune(paused)).status).toBe("PAUSED");
    await again.resume(paused);
    for (const one of [id, queued, paused]) {
      expect((await again.wait(one)).status).toBe("SUCCEEDED");
      expect(Buffer.from(await logOf(again, one)).equals(log)).toBe(true);
    }
    expect(whole).toHaveLength(steps / evaluateEvery);
    expect(await checkpointsOf(again, id)).toEqual(whole);
    await expectRebuilt(restored, again, id, steps);
    const answer = await answerOf(again, request);
    expect(answer).toHaveLength(asked.maxTokens);
    expect(answer).toEqual(await answerOf(again, (await again.createCompletion(asked)).id));
    expect(receiver.received.map(({ message }) => message.type)).toEqual(["dataset.created"]);
    await receiver.close();
  },
);

const asked = { model: { name: "tiny" }, tokens: [3, 4, 5], maxTokens: 8, seed: 1 } as const;

/** The receiver of one message, that of the first dataset, which it refuses. */
async function refusing(client: SteplogClient): Promise<Receiver> {
  const receiver = await startReceiver();
  receiver.answer = (_request, response) => void response.writeHead(503).end();
  const create = `mutation { createWebhook(input: { url: "${receiver.url}", events: ["dataset.created"] }) { secret webhook { id } } }`;
  const { createWebhook } = await client.query<{ createWebhook: { secret: string; webhook: { id: string } } }>(create);
  receiver.secret = createWebhook.secret;
  await client.createDataset({ name: "told", rows: [{ prompt: "a", completion: "b" }] });
  const quiet = `mutation { updateWebhook(id: "${createWebhook.webhook.id}", input: { events: ["alias.set"] }) { id } }`;
  await client.query(quiet);
  return receiver;
}

async function pausedRun(service: TestService, client: SteplogClient): Promise<string> {
  const id = await createRun(service, client, steps, { evaluateEvery });
  const progress = async () => (await client.fineTune(id)).progress.step;
  await until("steps of the run that is paused", 60_000, async () => (await progress()) > 40);
  await client.pause(id);
  await until("the pause", 60_000, async () => (await client.fineTune(id)).status === "PAUSED");
  expect(await progress()).toBeLessThan(steps);
  return id;
}

/** Of a model that a worker can answer, which is frozen and will not. */
async function waitingRequest(service: TestService, client: SteplogClient): Promise<string> {
  const { child } = await service.startWorker({ STEPLOG_SERVE: "inference" });
  const isListed = async () => {
    const url = service.env["DATABASE_URL"] ?? "";
    return (await directly(url, (sql) => sql`select from workers where jsonb_typeof(serving) = 'object'`)).length > 0;
  };
  await until("the worker in the list", 30_000, isListed);
  child.kill("SIGSTOP");
  return (await client.createCompletion(asked)).id;
}

/** What waits is in the dump as it was: a run in the middle, one in the queue, one that is paused, a request and a message. */
async function expectDumped(url: string, id: string, log: Uint8Array): Promise<void> {
  const running = atob(id).replace("FineTune:", "");
  const [one, runs, requests, messages] = await directly(url, async (sql) => [
    await sql`select entries, chain from fine_tunes where id = ${running}`,
    await sql`select status from fine_tunes order by status`,
    await sql`select status from completions`,
    await sql`select status from webhook_deliveries`,
  ]);
  const entries = Number(one?.[0]?.["entries"]);
  expect(entries).toBeGreaterThan(2 * evaluateEvery);
  expect(entries).toBeLessThan(steps);
  expect(hex(one?.[0]?.["chain"] as Uint8Array)).toBe(chainAt(log, entries));
  expect(runs).toMatchObject([{ status: "PAUSED" }, { status: "QUEUED" }, { status: "RUNNING" }]);
  expect(requests).toMatchObject([{ status: "QUEUED" }]);
  expect(messages).toMatchObject([{ status: "PENDING" }]);
}

async function answerOf(client: SteplogClient, id: string): Promise<readonly number[]> {
  const tokens: number[] = [];
  for await (const { piece } of client.completionPieces(id)) tokens.push(...(piece.tokens ?? []));
  return tokens;
}

/** Entries, chain hash and digest of each. */
async function checkpointsOf(client: SteplogClient, id: string): Promise<unknown[]> {
  const query =
    "query ($id: ID!) { node(id: $id) { ... on FineTune { checkpoints(first: 100) { nodes { entries chainHash weightsDigest } } } } }";
  const { node } = await client.query<{ node: { checkpoints: { nodes: unknown[] } } }>(query, { id });
  return node.checkpoints.nodes;
}

async function logOf(client: SteplogClient, id: string): Promise<Uint8Array> {
  const [checkpoint] = (await client.fineTune(id)).checkpoints.nodes;
  return (await client.download(checkpoint?.logUrl ?? "")).bytes();
}

function chainAt(bytes: Uint8Array, count: number): string {
  const { headerBytes, entries } = decodeStepLog(bytes);
  const chain = Chain.start(headerBytes);
  for (const entry of entries.slice(0, count)) chain.add(entry);
  return hex(chain.hash);
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
