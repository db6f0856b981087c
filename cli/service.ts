/**
 * The whole service on this machine: Postgres, gateway and worker, each in its own process, connected only by DATABASE_URL.
 * They have their own process groups, so that Ctrl-C reaches this process alone, which then stops them in order: the worker
 * (which releases its job), the gateway (which closes its streams), Postgres. If this process is killed, the children notice
 * the closed channel and exit, and the next start adopts a Postgres that is still running.
 */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { SteplogError } from "../schema/errors.ts";
import { packagePath, programPath } from "../schema/package.ts";
import { startEmbeddedPostgres } from "../store/postgres/embedded.ts";
import type { ServiceConfig } from "./config.ts";
import { createLog } from "./process.ts";

const command = programPath("cli/steplog");
export const demoBase = packagePath("demo/base");
const restartMs = 1_000;
/** A child that has not stopped after this time is killed. */
const stopMs = 10_000;

export interface Service {
  readonly url: string;
  readonly databaseUrl: string;
  readonly device: string;
  /** Stops all processes; safe to call twice. */
  stop(): Promise<void>;
}

interface ServiceOptions {
  readonly config: ServiceConfig;
  /** Where the children log: a file descriptor, or this process' stderr. */
  readonly logTo: number | "inherit";
  /** Whether to restart a child that exits; otherwise `onFailure` is called. */
  readonly restart: boolean;
  readonly onFailure?: (error: SteplogError) => void;
  /** Ends the start, too: what waits for a database stops. */
  readonly signal?: AbortSignal;
}

export async function startService(options: ServiceOptions): Promise<Service> {
  const { config } = options;
  await mkdir(config.modelsDir, { recursive: true });
  const postgres =
    config.databaseUrl === null
      ? await startEmbeddedPostgres({
          dataDir: join(config.dataDir, "postgres"),
          log: createLog("postgres", config.logLevel === "info" ? "warn" : config.logLevel),
        })
      : null;
  const databaseUrl = postgres?.url ?? config.databaseUrl ?? "";
  const env = {
    ...process.env,
    DATABASE_URL: databaseUrl,
    STEPLOG_DATA: config.dataDir,
    STEPLOG_MODELS: config.modelsDir,
    STEPLOG_STORAGE: config.storageDir,
    STEPLOG_DEVICES: config.devicesDir,
    STEPLOG_DEVICE: config.device,
    STEPLOG_THREADS: String(config.threads),
    STEPLOG_SERVE: config.serve.mode,
    STEPLOG_HOST: config.host,
    STEPLOG_OPEN_TO_EVERYONE: config.openToEveryone ? "yes" : "no",
  };
  const children: Child[] = [];
  const stop = async () => {
    for (const child of children.toReversed()) await child.stop();
    await postgres?.stop();
  };
  options.signal?.addEventListener("abort", () => void stop(), { once: true });
  try {
    const server = new Child(["server", "--port", String(config.port)], env, options);
    children.push(server);
    const { url = "" } = await server.ready;
    // After a restart it must listen on the same port.
    server.arguments = ["server", "--port", new URL(url).port];
    const worker = new Child(["worker"], env, options);
    children.push(worker);
    const { device = "" } = await worker.ready;
    return { url, databaseUrl, device, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Ready {
  readonly url?: string;
  readonly device?: string;
}

class Child {
  arguments: readonly string[];
  readonly ready: Promise<Ready>;
  readonly #env: NodeJS.ProcessEnv;
  readonly #options: ServiceOptions;
  #process: ChildProcess;
  #stopping = false;
  #restart: NodeJS.Timeout | undefined;

  constructor(args: readonly string[], env: NodeJS.ProcessEnv, options: ServiceOptions) {
    this.arguments = args;
    this.#env = env;
    this.#options = options;
    this.#process = this.#spawn();
    this.ready = this.#whenReady();
  }

  #spawn(): ChildProcess {
    const { logTo } = this.#options;
    const child = spawn(process.execPath, [command, ...this.arguments], {
      env: this.#env,
      detached: true,
      stdio: ["ignore", logTo, logTo, "ipc"],
    });
    child.on("exit", (code, signal) => this.#exited(code ?? signal ?? "unknown"));
    return child;
  }

  async #whenReady(): Promise<Ready> {
    const child = this.#process;
    const gone = once(child, "exit").then(() => {
      throw new SteplogError(
        "UNAVAILABLE",
        `The ${this.arguments[0]} exited before it was ready; its log explains why.`,
      );
    });
    const message = once(child, "message").then(([value]) => value as Ready);
    return Promise.race([message, gone]);
  }

  #exited(status: number | string): void {
    if (this.#stopping) return;
    const { restart, onFailure } = this.#options;
    if (!restart) {
      onFailure?.(new SteplogError("UNAVAILABLE", `The ${this.arguments[0]} exited unexpectedly (${status}).`));
      return;
    }
    process.stderr.write(`The ${this.arguments[0]} exited unexpectedly (${status}); restarting it.\n`);
    this.#restart = setTimeout(() => (this.#process = this.#spawn()), restartMs);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#restart);
    const child = this.#process;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGTERM");
    const impatient = setTimeout(() => child.kill("SIGKILL"), stopMs);
    await exited;
    clearTimeout(impatient);
  }
}

/** Copies the demo model into an empty models folder, so that a new service has a model to train. */
export async function seedModels(modelsDir: string): Promise<boolean> {
  await mkdir(modelsDir, { recursive: true });
  if ((await readdir(modelsDir)).some((name) => !name.startsWith("."))) return false;
  await cp(demoBase, join(modelsDir, "demo"), { recursive: true });
  return true;
}
