/**
 * The whole service on this machine: Postgres, gateway and worker, each in its own process, connected only by DATABASE_URL.
 * They are stopped in order: the worker (which releases its job), the gateway (which closes its streams), Postgres. If this
 * process is killed, the children notice the closed channel and exit, and the next start adopts a Postgres that is still
 * running. The worker sleeps while there is no work (sleeping-worker.ts).
 */
import { cp, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { packagePath } from "../schema/package.ts";
import { startEmbeddedPostgres } from "../store/postgres/embedded.ts";
import { Child, type ChildOptions } from "./child.ts";
import type { ServiceConfig } from "./config.ts";
import { createLog } from "./process.ts";
import { sleepingWorker } from "./sleeping-worker.ts";

export const demoBase = packagePath("demo/base");

export interface Service {
  readonly url: string;
  readonly databaseUrl: string;
  readonly device: string;
  /** Stops all processes; safe to call twice. */
  stop(): Promise<void>;
}

interface ServiceOptions extends Omit<ChildOptions, "rest"> {
  readonly config: ServiceConfig;
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
    // An address of a bucket is handed on as it is.
    ...(config.bucket === null && { STEPLOG_STORAGE: config.storageDir }),
    STEPLOG_CACHE: config.cacheDir,
    STEPLOG_DEVICES: config.devicesDir,
    STEPLOG_DEVICE: config.device,
    STEPLOG_THREADS: String(config.threads),
    STEPLOG_SERVE: config.serve.mode,
    STEPLOG_HOST: config.host,
    STEPLOG_OPEN_TO_EVERYONE: config.openToEveryone ? "yes" : "no",
  };
  const parts: { stop(): Promise<void> }[] = postgres ? [postgres] : [];
  const stop = async () => {
    for (const part of parts.toReversed()) await part.stop();
  };
  options.signal?.addEventListener("abort", () => void stop(), { once: true });
  try {
    const server = new Child(["server", "--port", String(config.port)], env, options);
    parts.push(server);
    const { url = "" } = await server.ready;
    // After a restart it must listen on the same port.
    server.arguments = ["server", "--port", new URL(url).port];
    const sleeper = config.workerIdleS > 0 ? await sleepingWorker({ ...config, databaseUrl }) : null;
    if (sleeper) parts.push({ stop: () => sleeper.close() });
    const rest = sleeper && { rest: sleeper.rest };
    const worker = new Child(sleeper?.arguments ?? ["worker"], env, { ...options, ...rest });
    parts.push(worker);
    const { device = "" } = await worker.ready;
    return { url, databaseUrl, device, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Copies the demo model into an empty models folder, so that a new service has a model to train. */
export async function seedModels(modelsDir: string): Promise<boolean> {
  await mkdir(modelsDir, { recursive: true });
  if ((await readdir(modelsDir)).some((name) => !name.startsWith("."))) return false;
  await cp(demoBase, join(modelsDir, "demo"), { recursive: true });
  return true;
}
