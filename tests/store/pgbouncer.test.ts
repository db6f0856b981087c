/** Behind PgBouncer in transaction mode, Debian's. */
import { spawn, spawnSync } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { beforeAll, expect, inject, onTestFinished, test } from "vitest";
import { SteplogError } from "../../schema/errors.ts";
import { idleTransactionMs } from "../../store/postgres/connection.ts";
import { openPool } from "../../store/postgres/database.ts";
import { readDatabaseUrl } from "../../store/postgres/url.ts";
import { openStore } from "../../store/store.ts";
import type { Store } from "../../store/store.ts";
import { scratch } from "../support/models.ts";
import { testDatabase } from "../support/postgres.ts";
import { until } from "../process/service.ts";
import { append, chainAfter, claimed, directly, newRun, newTraining } from "./fixtures.ts";

const program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].find(
  (path) => spawnSync(path, ["--version"], { uid: unprivileged() }).status === 0,
);
if (process.env["CI"] && !program) throw new Error("CI needs PgBouncer");

/** It refuses to run as root. */
function unprivileged(): number {
  return process.getuid?.() === 0 ? 65_534 : (process.getuid?.() ?? 0);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/** Fewer sessions than a store has connections, so that transactions of one share them. */
const sessions = 2;

let pooler: { port: number };

beforeAll(async () => {
  if (!program) return async () => {};
  const postgres = inject("postgres");
  if (typeof postgres === "string") throw new Error(postgres);
  const url = new URL(postgres.adminUrl);
  const folder = await mkdtemp(join(tmpdir(), "steplog-pgbouncer-"));
  await chmod(folder, 0o755);
  const port = await freePort();
  const password = url.password === "" ? "" : ` password=${decodeURIComponent(url.password)}`;
  const lines = [
    "[databases]",
    `* = host=${url.hostname} port=${url.port} user=${url.username}${password}`,
    "[pgbouncer]",
    "listen_addr = 127.0.0.1",
    `listen_port = ${port}`,
    "unix_socket_dir =",
    "auth_type = any",
    "pool_mode = transaction",
    `default_pool_size = ${sessions}`,
  ];
  await writeFile(join(folder, "pgbouncer.ini"), lines.join("\n"));
  const child = spawn(program, [join(folder, "pgbouncer.ini")], { uid: unprivileged(), stdio: "ignore", cwd: folder });
  pooler = { port };
  return async () => {
    child.kill("SIGINT");
    await once(child, "exit");
    await rm(folder, { recursive: true });
  };
});

async function database() {
  const created = await testDatabase();
  onTestFinished(() => created.drop());
  const url = new URL(created.url);
  url.host = `127.0.0.1:${pooler.port}`;
  return { direct: created.url, pooled: `${url.href}?pgbouncer=true`, unmarked: url.href };
}

async function storeAt(databaseUrl: string, directUrl?: string): Promise<Store> {
  const store = await openStore({ databaseUrl, directUrl, storageDir: await scratch() });
  onTestFinished(() => store.close());
  await until("PgBouncer", 5_000, async () => store.migrate().then(() => true, refusedOnly));
  return store;
}

/** False while it starts. */
function refusedOnly(error: unknown): boolean {
  if (error instanceof SteplogError && error.code === "UNAVAILABLE") return false;
  throw error;
}

test.runIf(program)("runs are trained and followed, many transactions at once", async () => {
  const { direct, pooled } = await database();
  const store = await storeAt(pooled, direct);
  const { run, job } = await newTraining(store);
  const end = new AbortController();
  const seen: number[] = [];
  const following = (async () => {
    for await (const step of store.feed.steps(run.id, { afterStep: 0, signal: end.signal })) seen.push(step.step);
  })();
  for (let entry = 0; entry < 30; entry += 3) await append(store, job, entry, 3);
  await until("every step", 5_000, () => seen.length === 30);
  end.abort();
  await following;
  expect(Buffer.from((await store.fineTunes.get(run.id))?.chain ?? [])).toEqual(Buffer.from(chainAfter(30)));
  await Promise.all(Array.from({ length: 20 }, () => newRun(store)));
  const jobs = await Promise.all(Array.from({ length: 8 }, (_, k) => claimed(store, `worker-${k}`)));
  expect(new Set(jobs.map(({ id }) => id)).size).toBe(8);
});

test.runIf(program)(
  "a transaction that freezes is ended there too: each has its limit, and leaves none behind",
  async () => {
    const { direct, pooled } = await database();
    await storeAt(pooled, direct);
    const pool = openPool(readDatabaseUrl(pooled), 1);
    onTestFinished(() => pool.close());
    const ask = sql`select current_setting('idle_in_transaction_session_timeout') as value`;
    const within = await pool.database.transaction((tx) => tx.execute(ask));
    expect(within[0]?.["value"]).toBe(`${idleTransactionMs / 1_000}s`);
    const outside = await pool.database.execute(ask);
    expect(outside[0]?.["value"]).toBe("0");
  },
);

test.runIf(program)("without the mark it is refused, with what to do", async () => {
  const { unmarked } = await database();
  await expect(storeAt(unmarked)).rejects.toThrow(/pgbouncer=true.*DATABASE_DIRECT_URL/u);
});

test.runIf(program)("without Postgres' own address it is refused", async () => {
  const { pooled } = await database();
  await expect(storeAt(pooled)).rejects.toThrow(/Set DATABASE_DIRECT_URL/u);
  await expect(storeAt(pooled, pooled)).rejects.toThrow(/Set DATABASE_DIRECT_URL/u);
});

test.runIf(program)("a setting that it cannot give and that garbles bytes is named", async () => {
  const { direct, pooled } = await database();
  const name = new URL(direct).pathname.slice(1);
  await directly(direct, (sql) => sql.unsafe(`alter database ${name} set bytea_output to 'escape'`));
  await expect(storeAt(pooled, direct)).rejects.toThrow(/bytea_output is escape/u);
});
