/**
 * The embedded Postgres, for a machine without DATABASE_URL: the real server, from an npm package, with its data in a folder.
 * It listens on 127.0.0.1 only and requires a random password.
 *
 * Starting is one loop: if a server runs on the folder and answers, use it; else create the cluster if it is missing, start
 * the server, and check again. So it does not matter whether the folder is new, was stopped cleanly, or was left by a killed
 * process (whose Postgres still runs) or a power cut. When two processes start at once, postmaster.pid lets one of them win,
 * and the other uses its server.
 *
 * home/ cluster/  the data          password  random, readable only by its owner
 *       port      the last one      postgres.log   users/  one file per process that uses the server
 */
import { execFile } from "node:child_process";
import { randomBytes, randomInt } from "node:crypto";
import { link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import postgres from "postgres";
import { SteplogError } from "../../schema/errors.ts";
import { type Install, advice, exists, handOver, prepareInstall } from "./embedded-install.ts";
import { deleteDeadPartials, partialPath, sweepStandIns } from "./embedded-leftovers.ts";
import { liveUsers, readPostmaster, registerUser } from "./embedded-processes.ts";
import type { Log } from "../../schema/log.ts";

const run = promisify(execFile);

/** Long, because it includes recovery after a crash. */
const startSeconds = 120;
const stopSeconds = 60;

export interface EmbeddedOptions {
  readonly dataDir: string;
  readonly log?: Log | undefined;
  /** False only in tests: a crash of the machine may then lose data. */
  readonly durable?: boolean;
}

export interface EmbeddedPostgres {
  readonly url: string;
  /** Stops the server and waits for that, unless other processes still use it. */
  stop(): Promise<void>;
}

export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const { dataDir, log, durable = true } = options;
  try {
    const install = await prepareInstall(dataDir, log);
    await sweepStandIns();
    await deleteDeadPartials(install.home);
    const user = await registerUser(install.home);
    const server = await adoptOrStart(install, durable, log);
    await ensureDatabase(server);
    return { url: urlOf(server, "steplog"), stop: () => stop(install, user, log) };
  } catch (error) {
    if (error instanceof SteplogError) throw error;
    const reason = error instanceof Error ? error.message.trim() : String(error);
    const message = `The embedded Postgres in ${dataDir} did not start: ${reason} ${advice}`;
    throw new SteplogError("UNAVAILABLE", message, [], { cause: error });
  }
}

interface Server {
  readonly port: number;
  readonly password: string;
}

async function adoptOrStart(install: Install, durable: boolean, log: Log | undefined): Promise<Server> {
  const cluster = join(install.home, "cluster");
  const password = await keptPassword(install.home);
  const deadline = performance.now() + startSeconds * 1_000;
  let started = false;
  for (;;) {
    const running = await readPostmaster(cluster);
    if (running && (await answers({ port: running.port, password }, cluster))) {
      if (!started)
        log?.info({ pid: running.pid, port: running.port }, "Using the embedded Postgres that already runs here.");
      return { port: running.port, password };
    }
    if (performance.now() > deadline)
      throw new Error(`no answer within ${startSeconds} s. ${await endOfLog(install.home)}`);
    if (running) {
      // It is starting, recovering or stopping, each of which ends by itself.
      await delay(50);
      continue;
    }
    if (!(await exists(cluster))) await createCluster(install, password, durable);
    started = await tryStart(install, durable, deadline);
  }
}

// A running server

/** Whether it accepts our password and serves this folder: the server of another Steplog may have taken the port. */
async function answers(server: Server, cluster: string): Promise<boolean> {
  const ask = "select current_setting('data_directory') as folder";
  const rows = await query(server, ask).catch(() => []);
  return rows[0]?.["folder"] === cluster;
}

async function query(server: Server, statement: string): Promise<Record<string, unknown>[]> {
  // As connectionOptions: a server may be killed while it is asked.
  const options = { max: 1, connect_timeout: 5, fetch_types: false, onnotice: () => {} };
  const client = postgres(urlOf(server, "postgres"), options);
  try {
    return await client.unsafe<Record<string, unknown>[]>(statement);
  } finally {
    await client.end({ timeout: 1 });
  }
}

// Creating and starting a server

/** Created once; when two processes create it at once, the second reads the first one's. */
async function keptPassword(home: string): Promise<string> {
  const file = join(home, "password");
  const partial = partialPath(home);
  if (!(await exists(file))) {
    await writeFile(partial, randomBytes(24).toString("hex"), { mode: 0o600 });
    // Unlike a rename, a link never replaces an existing file.
    await link(partial, file).catch(() => {});
    await rm(partial, { force: true });
  }
  return (await readFile(file, "utf8")).trim();
}

/** Under another name first, so that a cluster exists whole or not at all. */
async function createCluster(install: Install, password: string, durable: boolean): Promise<void> {
  const partial = partialPath(install.home);
  const passwordFile = `${partial}.password`;
  try {
    await mkdir(partial);
    await handOver(partial, install.runAs, 0o700);
    await writeFile(passwordFile, password, { mode: 0o600 });
    await handOver(passwordFile, install.runAs, 0o400);
    const access = ["--username", "steplog", "--pwfile", passwordFile, "--auth", "scram-sha-256"];
    const text = ["--encoding", "UTF8", "--no-locale"];
    await call(install, "initdb", ["--pgdata", partial, ...access, ...text, ...syncing(durable)]);
    // Fails when another process was faster; its cluster then serves both.
    await rename(partial, join(install.home, "cluster")).catch(() => {});
  } finally {
    await rm(partial, { recursive: true, force: true });
    await rm(passwordFile, { force: true });
  }
}

/** One sync of the file system takes 0.3 s; one for each of a thousand files takes 3 s. */
function syncing(durable: boolean): string[] {
  if (!durable) return ["--no-sync"];
  return process.platform === "linux" ? ["--sync-method", "syncfs"] : [];
}

/** True when this call started it; false when the caller should check again. @throws what another attempt would not fix */
async function tryStart(install: Install, durable: boolean, deadline: number): Promise<boolean> {
  const { home } = install;
  const port = await freePort(Number(await readFile(join(home, "port"), "utf8").catch(() => "0")));
  const logFile = join(home, "postgres.log");
  await writeFile(logFile, "");
  await handOver(logFile, install.runAs, 0o600);
  const settings = {
    port,
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    max_connections: 200,
    log_checkpoints: "off",
    ...(durable ? {} : { fsync: "off", synchronous_commit: "off", full_page_writes: "off" }),
  };
  const flags = Object.entries(settings).map(([name, value]) => `-c ${name}='${value}'`);
  try {
    const files = ["--pgdata", join(home, "cluster"), "--log", logFile];
    const wait = ["--wait", "--timeout", String(startSeconds)];
    await call(install, "pg_ctl", ["start", ...wait, ...files, "--options", flags.join(" ")]);
  } catch (error) {
    const text = await readFile(logFile, "utf8").catch(() => "");
    if (!startMayPass(text) || performance.now() > deadline)
      throw new Error(endOf(text) || String(error), { cause: error });
    await delay(200);
    return false;
  }
  await writeFile(join(home, "port"), String(port));
  return true;
}

/**
 * Whether a start that failed may succeed soon. Children of a killed server hold its memory for a moment; the port may have been
 * taken; another process may be starting the same server.
 * @param log since the start; those children may have written their last words after the reason
 */
export function startMayPass(log: string): boolean {
  return /pre-existing shared memory|could not bind|lock file ".*" already exists/u.test(log);
}

/**
 * The wanted port if it is free, so that a URL stays valid; else one below those that systems give to outgoing connections (from
 * 32,768 on Linux, 49,152 elsewhere), which could take it while the server is restarted; else any.
 */
async function freePort(wanted: number): Promise<number> {
  const quiet = Array.from({ length: 5 }, () => randomInt(20_000, 32_000));
  for (const port of [...(wanted > 0 ? [wanted] : []), ...quiet, 0]) {
    const free = await new Promise<number | null>((resolve) => {
      const probe = createServer();
      probe.once("error", () => resolve(null));
      probe.listen(port, "127.0.0.1", () => {
        const address = probe.address();
        probe.close(() => resolve(typeof address === "object" && address ? address.port : null));
      });
    });
    if (free !== null) return free;
  }
  throw new Error("no port is free on 127.0.0.1.");
}

async function endOfLog(home: string): Promise<string> {
  return endOf(await readFile(join(home, "postgres.log"), "utf8").catch(() => ""));
}

function endOf(log: string): string {
  return log.trim().split("\n").slice(-8).join(" ");
}

async function ensureDatabase(server: Server): Promise<void> {
  const found = await query(server, "select 1 from pg_database where datname = 'steplog'");
  if (found.length === 0) await query(server, "create database steplog").catch(ignoreDuplicate);
}

/** 42P04 and 23505: another process created it at the same moment. */
function ignoreDuplicate(error: unknown): void {
  const code = error instanceof postgres.PostgresError ? error.code : null;
  if (code !== "42P04" && code !== "23505") throw error;
}

function urlOf({ port, password }: Server, database: string): string {
  return `postgres://steplog:${password}@127.0.0.1:${port}/${database}`;
}

/** Without our environment: its PG variables are meant for other programs. */
async function call(install: Install, program: string, args: string[]): Promise<void> {
  const env = { PATH: process.env["PATH"] ?? "", LC_ALL: "C" };
  await run(join(install.bin, program), args, { ...install.runAs, env, cwd: install.home });
}

// Stopping

async function stop(install: Install, user: string, log: Log | undefined): Promise<void> {
  if (!(await exists(user))) return;
  await rm(user, { force: true });
  const others = await liveUsers(install.home);
  if (others.length > 0) {
    log?.info({ others }, "The embedded Postgres keeps running for other processes that use it.");
    return;
  }
  const args = ["stop", "--mode", "fast", "--wait", "--timeout", String(stopSeconds)];
  try {
    await call(install, "pg_ctl", [...args, "--pgdata", join(install.home, "cluster")]);
  } catch (error) {
    if (await exists(join(install.home, "cluster", "postmaster.pid"))) throw error;
  }
}
