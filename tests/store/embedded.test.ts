import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import postgres from "postgres";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { programPath } from "../../schema/package.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../store/postgres/embedded.ts";
import { directly } from "./fixtures.ts";

/** A stopped cluster. Tests start from a copy, so that only those about a new folder pay for creating one. */
let template: string;
let folder: string;
let servers: EmbeddedPostgres[];
let said: string[];
beforeAll(async () => {
  template = await newFolder();
  await (await startEmbeddedPostgres({ dataDir: template })).stop();
});
afterAll(async () => rm(template, { recursive: true, force: true }));
beforeEach(async () => {
  folder = await newFolder();
  await promisify(execFile)("cp", ["-a", `${template}/.`, folder]); // Postgres may run as another user: keep owners.
  [servers, said] = [[], []];
});
afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  await rm(folder, { recursive: true, force: true });
});

async function newFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "steplog-embedded-"));
  await chmod(path, 0o755);
  return path;
}

const say = (_: object, message: string): void => void said.push(message);
const log = { info: say, warn: say, error: say };

/** Durable, as in operation: what is promised below must hold with the settings that users have. */
async function start(dataDir = folder): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ dataDir, log });
  servers.push(server);
  return server;
}

const write = (url: string, value: number) =>
  directly(url, async (sql) => {
    await sql`create table if not exists kept (value int)`;
    await sql`insert into kept values (${value})`;
  });
const read = (url: string) =>
  directly(url, async (sql) =>
    (await sql<{ value: unknown }[]>`select value from kept order by value`).map((row) => row.value),
  );
const pidOf = async (dataDir = folder): Promise<number> =>
  Number((await readFile(join(dataDir, "cluster", "postmaster.pid"), "utf8")).split("\n")[0]);

describe("data survives", () => {
  test("stop and start, under the same URL", async () => {
    const first = await start();
    await write(first.url, 1);
    await first.stop();
    await expect(read(first.url)).rejects.toThrow("ECONNREFUSED");
    const second = await start();
    expect(second.url).toBe(first.url);
    expect(await read(second.url)).toEqual([1]);
  });

  test("kill -9 of Postgres", async () => {
    const first = await start();
    await write(first.url, 1);
    process.kill(await pidOf(), "SIGKILL");
    const second = await start();
    expect(await read(second.url)).toEqual([1]);
    await write(second.url, 2);
    expect(await read(second.url)).toEqual([1, 2]);
  });

  test("kill -9 of the process that started it: the next start adopts the server", async () => {
    const child = runChild();
    const url = await urlOf(child);
    await write(url, 1);
    const pid = await pidOf();
    await killed(child);
    expect(await read(url)).toEqual([1]);
    const next = await start();
    expect(next.url).toBe(url);
    expect(await pidOf()).toBe(pid);
    expect(said).toContain("Using the embedded Postgres that already runs here.");
    await next.stop();
    await expect(read(url)).rejects.toThrow("ECONNREFUSED");
  });

  test("kill -9 of both", async () => {
    const child = runChild();
    await write(await urlOf(child), 1);
    const pid = await pidOf();
    await killed(child);
    process.kill(pid, "SIGKILL");
    expect(await read((await start()).url)).toEqual([1]);
  });
});

describe("two on one folder", () => {
  test("the second adopts, and the server stays until the last one stops", async () => {
    const [first, second] = [await start(), await start()];
    expect(second.url).toBe(first.url);
    await write(first.url, 1);
    await first.stop();
    expect(await read(second.url)).toEqual([1]);
    await second.stop();
    await expect(read(second.url)).rejects.toThrow("ECONNREFUSED");
  });

  test("started at the same moment on a new folder, they share one server", async () => {
    const fresh = join(folder, "new");
    const [first, second] = await Promise.all([start(fresh), start(fresh)]);
    expect(second.url).toBe(first.url);
    await write(first.url, 1);
    expect(await read(second.url)).toEqual([1]);
  });
});

test("a postmaster.pid that names a stranger's process is cleared", async () => {
  // As after a restart of a container, where low pids come again: this very process is alive, but no Postgres.
  await writeFile(join(folder, "cluster", "postmaster.pid"), `${process.pid}\n${folder}/cluster\n0\n5432\n`);
  await write((await start()).url, 1);
});

test("nobody gets in without the password, which only the owner can read", async () => {
  const { url } = await start();
  const wrong = new URL(url);
  wrong.password = "guess";
  const client = postgres(wrong.href, { max: 1 });
  await expect(client`select 1`).rejects.toThrow("password authentication failed");
  await client.end();
  expect((await stat(join(folder, "password"))).mode & 0o777).toBe(0o600);
  const [settings] = await directly(
    url,
    (sql) => sql`
    select current_setting('listen_addresses') as addresses, current_setting('fsync') as fsync,
      current_setting('unix_socket_directories') as sockets, current_setting('password_encryption') as encryption`,
  );
  expect(settings).toEqual({ addresses: "127.0.0.1", fsync: "on", sockets: "", encryption: "scram-sha-256" });
});

test("a port that somebody took meanwhile is given up for another", async () => {
  const first = await start();
  await write(first.url, 1);
  const { port } = new URL(first.url);
  await first.stop();
  const { createServer } = await import("node:net");
  const squatter = createServer().listen(Number(port), "127.0.0.1");
  await once(squatter, "listening");
  const second = await start();
  expect(new URL(second.url).port).not.toBe(port);
  expect(await read(second.url)).toEqual([1]);
  squatter.close();
});

const isRoot = process.getuid?.() === 0;

test.runIf(isRoot)(
  "as root, a folder that nobody can reach is replaced by one for temporary files, and said",
  async () => {
    const closed = join(folder, "closed");
    await mkdir(closed, { mode: 0o700 });
    const [first, same] = [await start(join(closed, "data")), await start(join(closed, "data"))];
    expect(same.url).toBe(first.url);
    expect(said.join()).toContain("cannot reach the data folder");
    const [row] = await directly(first.url, (sql) => sql`select current_setting('data_directory') as folder`);
    expect(String(row?.["folder"])).toMatch(/steplog-postgres-[0-9a-f]{16}\/cluster$/u);
    await Promise.all([first.stop(), same.stop()]);
    const standIn = join(String(row?.["folder"]), "..");
    await rm(closed, { recursive: true });
    await start();
    await expect(stat(standIn)).rejects.toThrow("ENOENT");
  },
);

test("a folder that cannot be used is UNAVAILABLE, with advice", async () => {
  const file = join(folder, "file");
  await writeFile(file, "");
  const starting = startEmbeddedPostgres({ dataDir: join(file, "data") });
  await expect(starting).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await expect(starting).rejects.toThrow("DATABASE_URL");
});

function runChild(): ChildProcess {
  const program = fileURLToPath(new URL("embedded-child.js", import.meta.url));
  const stdio = ["ignore", "pipe", "inherit"] as const;
  return spawn(process.execPath, [program, programPath("store/postgres/embedded"), folder], { stdio: [...stdio] });
}

async function urlOf(child: ChildProcess): Promise<string> {
  for await (const chunk of child.stdout ?? []) return String(chunk).trim();
  throw new Error("The process ended without a word.");
}

async function killed(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "exit");
}
