/** A dump of a service in mid-run restores to a state from which the run goes on, to the same log. Real processes. */
import { execFile } from "node:child_process";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import type { SteplogClient } from "../../client/index.ts";
import { Chain, decodeStepLog } from "../../schema/step-log.ts";
import { directly } from "../store/fixtures.ts";
import { firstTry } from "../support/first-try.ts";
import { testDatabase } from "../support/postgres.ts";
import { collectSteps, expectRebuilt } from "./follow.ts";
import { createRun, testService, until } from "./service.ts";

const run = promisify(execFile);
const [steps, evaluateEvery] = [300, 30];
/** The embedded Postgres has no pg_dump; that of Debian's is of the server's release. */
const hasDump = Boolean(process.env["STEPLOG_TEST_DATABASE_URL"]);

test.runIf(hasDump)(
  "pg_dump in mid-run, and a restore that goes on after it",
  { ...firstTry, timeout: 240_000 },
  async () => {
    const service = await testService();
    const { client } = await service.startServer();
    const worker = await service.startWorker();
    const id = await createRun(service, client, steps, { evaluateEvery });
    const { seen, done } = collectSteps(client, id);
    await until("some checkpoints", 60_000, () => seen.length > 70);
    const dump = join(service.folder, "dump");
    await run("pg_dump", ["--format=custom", `--file=${dump}`, service.env["DATABASE_URL"] ?? ""]);
    await done;
    const whole = await checkpointsOf(client, id);
    const log = await logOf(client, id);
    await worker.kill("SIGTERM");

    const database = await testDatabase({ empty: true });
    onTestFinished(() => database.drop());
    await run("pg_restore", ["--no-owner", "--exit-on-error", `--dbname=${database.url}`, dump]);
    const [dumped] = await directly(database.url, (sql) => sql`select entries, chain from fine_tunes`);
    const entries = Number(dumped?.["entries"]);
    expect(entries).toBeGreaterThan(2 * evaluateEvery);
    expect(entries).toBeLessThan(steps);
    expect(hex(dumped?.["chain"] as Uint8Array)).toBe(chainAt(log, entries));

    const restored = await testService(database.url);
    await cp(join(service.folder, "storage"), join(restored.folder, "storage"), { recursive: true });
    const again = (await restored.startServer()).client;
    await restored.startWorker();
    expect((await again.wait(id)).status).toBe("SUCCEEDED");
    expect(await logOf(again, id)).toEqual(log);
    expect(whole).toHaveLength(steps / evaluateEvery);
    expect(await checkpointsOf(again, id)).toEqual(whole);
    await expectRebuilt(restored, again, id, steps);
  },
);

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
