/** Postgres as it is found: altered settings, refusals with their reasons, IPv6, servers without TLS. */
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { expect, inject, onTestFinished, test } from "vitest";
import { operator } from "../../schema/projects.ts";
import { openPool } from "../../store/postgres/database.ts";
import { translated } from "../../store/postgres/failures.ts";
import { migrateDatabase } from "../../store/postgres/migrate.ts";
import { readDatabaseUrl } from "../../store/postgres/url.ts";
import { openStore } from "../../store/store.ts";
import { databaseUrl, testDatabase } from "../support/postgres.ts";
import { scratch } from "../support/models.ts";
import { append, chainAfter, claimed, directly, newRun, newTraining } from "./fixtures.ts";

/** Whatever a dump or an administrator may have left behind. */
const alterations = [
  "bytea_output to 'escape'",
  "datestyle to 'German'",
  "extra_float_digits to -10",
  "timezone to 'Asia/Kathmandu'",
  "statement_timeout to 1",
  "default_transaction_isolation to 'serializable'",
  "standard_conforming_strings to off",
  "intervalstyle to 'sql_standard'",
];

async function storeAt(url: string) {
  const store = await openStore({ databaseUrl: url, storageDir: await scratch() });
  onTestFinished(() => store.close());
  return store;
}

test("settings that a database was altered to change nothing", async () => {
  const database = await testDatabase();
  onTestFinished(() => database.drop());
  const name = new URL(database.url).pathname.slice(1);
  const statements = alterations.map((alteration) => `alter database ${name} set ${alteration}`);
  await directly(database.url, (sql) => sql.unsafe(statements.join(";")));
  const store = await storeAt(database.url);
  await store.migrate();
  const { run, job } = await newTraining(store);
  await append(store, job, 0, 3);
  const stored = await store.fineTunes.get(run.id);
  expect(stored?.createdAt.getTime()).toBeGreaterThan(Date.now() - 60_000);
  expect(Buffer.from(stored?.chain ?? [])).toEqual(Buffer.from(chainAfter(3)));
});

/** The URL of the server's own database. */
function inPostgres(): string {
  const server = inject("postgres");
  if (typeof server === "string") throw new Error(server);
  return server.adminUrl;
}

const migrating = (url: string) => migrateDatabase(readDatabaseUrl(url));

test.each([
  [
    "a database that is not there",
    (admin: string) => databaseUrl(admin, "no_such_database"),
    /no_such_database.*Create the database/u,
  ],
  [
    "a user who is not there",
    (admin: string) => admin.replace(/\/\/[^@]*@/u, "//nobody_here:wrong@"),
    /(password authentication failed|does not exist).*DATABASE_URL/u,
  ],
  ["another tool's parameter", (admin: string) => `${admin}?pool_mode=x`, /pool_mode.*Remove the parameter/u],
  ["a wrong setting", (admin: string) => `${admin}?work_mem=lots`, /work_mem.*Correct the parameter/u],
  ["TLS where there is none", (admin: string) => `${admin}?sslmode=require`, /sslmode=require.*does not offer TLS/u],
])("%s is refused with Postgres' reason", async (_, change, message) => {
  const refused = migrating(change(inPostgres()));
  await expect(refused).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  await expect(refused).rejects.toThrow(message);
});

test("a user without rights, and a database that cannot hold all text", async () => {
  const database = await testDatabase();
  onTestFinished(() => database.drop());
  const role = `narrow_${new URL(database.url).pathname.slice(6)}`;
  await directly(database.url, (sql) => sql.unsafe(`create role ${role} login password 'narrow'`));
  onTestFinished(async () => {
    await directly(inPostgres(), (sql) => sql.unsafe(`drop role ${role}`));
  });
  const narrow = database.url.replace(/\/\/[^@]*@/u, `//${role}:narrow@`);
  await expect(migrating(narrow)).rejects.toThrow(/permission denied.*grant create/u);
  const latin = `latin_${new URL(database.url).pathname.slice(6)}`;
  await directly(database.url, (sql) =>
    sql.unsafe(`create database ${latin} encoding 'LATIN1' locale 'C' template template0`),
  );
  onTestFinished(async () => {
    await directly(inPostgres(), (sql) => sql.unsafe(`drop database ${latin} with (force)`));
  });
  await expect(migrating(databaseUrl(database.url, latin))).rejects.toThrow(/LATIN1.*ENCODING 'UTF8'/u);
});

test("over IPv6", async ({ skip }) => {
  const database = await testDatabase();
  onTestFinished(() => database.drop());
  const url = new URL(database.url);
  const relay = createServer((near) => {
    const far = connect(Number(url.port), url.hostname);
    near.pipe(far).pipe(near);
    near.on("error", () => far.destroy());
    far.on("error", () => near.destroy());
  }).listen(0, "::1");
  const listening = await once(relay, "listening").catch(() => null);
  if (!listening) skip("this machine has no IPv6");
  onTestFinished(() => void relay.close());
  const store = await storeAt(
    database.url.replace(`${url.hostname}:${url.port}`, `[::1]:${(relay.address() as AddressInfo).port}`),
  );
  await store.migrate();
  await newRun(store);
  expect((await claimed(store)).kind).toBe("FINE_TUNE");
});

test("a pool counts the transactions that are open, and those that wait for a connection", async () => {
  const database = await testDatabase({ empty: true });
  onTestFinished(() => database.drop());
  const pool = openPool(readDatabaseUrl(database.url), 1);
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const both = Promise.all([pool.database.transaction(() => held), pool.database.transaction(async () => {})]);
  await expect.poll(() => pool.use()).toEqual({ connections: 1, open: 1, waiting: 1 });
  release();
  await both;
  await expect(pool.database.transaction(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(pool.use()).toEqual({ connections: 1, open: 0, waiting: 0 });
  await pool.close();
});

test("whatever is asked while nobody answers is UNAVAILABLE, also by a query that the store hands on unsent", async () => {
  const store = await storeAt("postgres://nobody@127.0.0.1:9/steplog");
  const { foundModels, modelDownloads, baseModels, datasets } = store.of(operator);
  const asked = [
    () => foundModels.list(1),
    () => foundModels.get("a"),
    () => modelDownloads.list(),
    () => baseModels.list({ limit: 1 }),
    () => datasets.list({ limit: 1 }),
    () => store.foundModels.unregistered(["a"]),
  ];
  const seen = await Promise.all(asked.map(async (ask) => ask().catch((error: unknown) => error)));
  expect(seen).toEqual(asked.map(() => expect.objectContaining({ code: "UNAVAILABLE" }) as unknown));
});

test("a statement that Postgres gave up is UNAVAILABLE at once, and its transaction lets go of the connection", async () => {
  const database = await testDatabase();
  const pool = openPool(readDatabaseUrl(database.url), 1);
  onTestFinished(async () => {
    await pool.close();
    await database.drop();
  });
  const asked = translated({
    cancelled: () => pool.database.execute("select pg_cancel_backend(pg_backend_pid())"),
    cancelledWithin: () => pool.database.transaction((tx) => tx.execute("select pg_cancel_backend(pg_backend_pid())")),
    late: () =>
      pool.database.transaction(async (tx) => {
        await tx.execute("set local statement_timeout = 20");
        await tx.execute("select pg_sleep(5)");
      }),
  });
  for (const ask of Object.values(asked))
    await expect(ask()).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("57014") as unknown,
    });
  expect(pool.use()).toMatchObject({ open: 0, waiting: 0 });
});
