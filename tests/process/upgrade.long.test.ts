/**
 * Releases one apart, while runs go on: gateway and worker of this tree, and of the commit before its newest migration, which
 * is built here. So what changed the tables last is always between the two.
 */
import { execFile } from "node:child_process";
import { cp, mkdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { SteplogClient } from "../../client/index.ts";
import { packagePath } from "../../schema/package.ts";
import { webhookLeaseMs } from "../../schema/webhooks.ts";
import { type Receiver, startReceiver } from "../server/webhook-receiver.ts";
import { directly } from "../store/fixtures.ts";
import { randomModel, scratch } from "../support/models.ts";
import { testDatabase } from "../support/postgres.ts";
import { firstTry } from "../support/first-try.ts";
import { startSteplog } from "../support/processes.ts";
import { collectSteps, expectEveryStepOnce, expectRebuilt, steps } from "./follow.ts";
import { type TestService, createRun, testService, until } from "./service.ts";

const run = promisify(execFile);
const here = packagePath(".");
const git = async (...args: string[]) => (await run("git", ["-C", here, ...args])).stdout.trim();

/** Null where the history is not there: in a clone of the last commit alone. */
const earlier = await git("log", "-1", "--format=%H", "--", "migrations/*.sql").then(
  (migrated) => git("rev-parse", `${migrated}~1`),
  () => null,
);
const why = "the clone has no history: git fetch --unshallow";
if (process.env["CI"] && earlier === null) throw new Error(`${why}. CI has what tests need.`);
const skipped = earlier === null ? ` (skipped: ${why})` : "";

test.runIf(earlier !== null)(
  `runs, keys, webhooks and answers go on while gateway and workers are replaced one by one, forwards and back${skipped}`,
  { ...firstTry, timeout: 300_000 },
  async () => {
    const before = await built(earlier ?? "");
    const database = await testDatabase({ empty: true });
    onTestFinished(() => database.drop());
    const service = await testService(database.url, { STEPLOG_WEBHOOK_ALLOW_PRIVATE: "localhost" });
    await addLong(service);
    const oldWorker = () => startSteplog(["worker"], service.env, before.program);

    // All of the release before, then a worker of this one, which changes the tables under the others.
    const oldServer = startSteplog(["server", "--port", "0"], service.env, before.program);
    const url = String((await oldServer.ready)["url"]);
    const first = oldWorker();
    await first.ready;
    // Made by the release before: a key, with which all goes on, and a webhook whose messages are refused until the change.
    const token = await keyOf(new before.SteplogClient({ url }));
    const client = new before.SteplogClient({ url, token });
    const receiver = await refusing(client);
    const id = await createRun(service, client, steps);
    const { seen, done } = collectSteps(client, id);
    await until("the first steps", 60_000, () => seen.length > 50);
    const newWorker = await service.startWorker({ STEPLOG_SERVE: "training" });
    const answer = tokensOf(client, (await client.createCompletion(asked)).id);
    await until("some tokens", 60_000, () => answer.tokens.length > 0);
    expect(await first.kill("SIGTERM")).toBe(0);
    await service.startWorker({ STEPLOG_SERVE: "inference" });
    const atChange = seen.length;
    await until("steps of the new worker", 60_000, () => seen.length > atChange + 50);

    // A gateway of this release in the place of the other, and a worker of the one before again.
    await receiver.until(1);
    expect(await oldServer.kill("SIGTERM")).toBe(0);
    receiver.answer = (_request, response) => void response.writeHead(204).end();
    await service.startServer(Number(new URL(url).port));
    const second = oldWorker();
    await second.ready;
    expect(await newWorker.kill("SIGTERM")).toBe(0);
    await done;
    expectEveryStepOnce(seen);
    const today = new SteplogClient({ url, token });
    await expectRebuilt(service, today, id);
    const created = await createRun(service, today, 20);
    expect((await today.wait(created)).status).toBe("SUCCEEDED");
    await expectRebuilt(service, today, created, 20);

    await answer.done;
    expect(answer.tokens).toHaveLength(asked.maxTokens);
    expect((await today.completion(answer.id)).choices[0]?.tokens).toEqual(answer.tokens);
    await expectTold(database.url, receiver, [id, created]);
    await expect(new SteplogClient({ url }).fineTune(id)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  },
);

const asked = { model: { name: "long" }, tokens: [3, 4, 5], maxTokens: 400, seed: 3, temperature: 0 };

/** A model that writes for a while: beside a run, for longer than a worker takes to be told to stop. */
async function addLong({ folder }: TestService): Promise<void> {
  const sizes = { max_position_embeddings: 600, hidden_size: 32, eos_token_id: 63 };
  await cp(await randomModel("F32", sizes), join(folder, "models", "long"), { recursive: true });
}

async function keyOf(client: SteplogClient): Promise<string> {
  const create = `mutation { createApiKey(input: { name: "before", scopes: [READ, WRITE, TRAIN, INFER, ADMIN] }) { key } }`;
  return (await client.query<{ createApiKey: { key: string } }>(create)).createApiKey.key;
}

/** A webhook whose receiver answers 503, until it is told something else. */
async function refusing(client: SteplogClient): Promise<Receiver> {
  const receiver = await startReceiver();
  onTestFinished(() => receiver.close());
  receiver.answer = (_request, response) => void response.writeHead(503).end();
  const input = `{ url: "${receiver.url}", events: ["dataset.created", "fine_tune.succeeded"] }`;
  const create = `mutation { createWebhook(input: ${input}) { secret } }`;
  receiver.secret = (await client.query<{ createWebhook: { secret: string } }>(create)).createWebhook.secret;
  return receiver;
}

/** The tokens of an answer as they come, from whichever gateway there is. */
function tokensOf(client: SteplogClient, id: string) {
  const tokens: number[] = [];
  const read = async () => {
    for await (const { piece } of client.completionPieces(id, { patienceMs: 600_000 }))
      tokens.push(...(piece.tokens ?? []));
  };
  const done = read();
  done.catch(() => {});
  return { id, tokens, done };
}

/** Every message is acknowledged once, also what the release before could not deliver; the end of each run is told. */
async function expectTold(url: string, receiver: Receiver, runs: readonly string[]): Promise<void> {
  await until("all messages of the webhook", 60_000, () =>
    directly(url, async (sql) => {
      // Long pauses after refusals are cut short. What is due earlier may be an attempt under way.
      await sql`update webhook_deliveries set next_attempt_at = now()
        where status = 'PENDING' and next_attempt_at > now() + ${`${webhookLeaseMs + 1_000} ms`}::interval`;
      return (await sql`select from webhook_deliveries where status <> 'DELIVERED'`).length === 0;
    }),
  );
  const accepted = await directly(
    url,
    (sql) => sql`select delivery_id as id from webhook_attempts where response_code = 204`,
  );
  expect(new Set(accepted.map(({ id }) => String(id))).size).toBe(accepted.length);
  const told = (type: string) =>
    receiver.received.flatMap(({ message }) => (message.type === type ? [String(message.data["id"])] : []));
  expect(new Set(told("fine_tune.succeeded"))).toEqual(new Set(runs));
  // The first one was refused before.
  expect(told("dataset.created").length).toBeGreaterThan(new Set(told("dataset.created")).size);
}

interface Release {
  readonly program: string;
  /** Asks only what that release knows. */
  readonly SteplogClient: typeof SteplogClient;
}

/** The commit's program and client, without the addon: the plain device needs none. */
async function built(commit: string): Promise<Release> {
  const folder = await scratch();
  await run("bash", ["-c", `git -C "${here}" archive ${commit} | tar -x -C "${folder}"`]);
  await rm(join(folder, "node_modules"), { recursive: true, force: true });
  await symlink(join(here, "node_modules"), join(folder, "node_modules"));
  await mkdir(join(folder, "dist"), { recursive: true });
  const compiler = join(here, "node_modules/typescript/bin/tsc");
  await run(process.execPath, [compiler, "-p", "tsconfig.build.json", ...programsAlone], { cwd: folder });
  const library = (await import(join(folder, "dist/client/index.js"))) as Pick<Release, "SteplogClient">;
  return { program: join(folder, "dist/cli/steplog.js"), SteplogClient: library.SteplogClient };
}

/** Its types were checked when it landed: checking them again took longer than all the rest. */
const programsAlone = ["--noCheck", "--declaration", "false", "--incremental", "false", "--tsBuildInfoFile", "null"];
