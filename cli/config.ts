/** The environment variables of the service, read once, here and nowhere else. deploy/README.md lists them. */
import { resolve } from "node:path";
import { SteplogError } from "../schema/errors.ts";
import type { HubAccess } from "./models/hub.ts";

export interface ServiceConfig {
  /** Null: `start` brings up an embedded Postgres. */
  readonly databaseUrl: string | null;
  /** Everything that the service keeps on this machine lies below. */
  readonly dataDir: string;
  readonly modelsDir: string;
  readonly storageDir: string;
  readonly host: string;
  readonly port: number;
  readonly device: string;
  /** Of the native device; 0 for as many as there are cores. */
  readonly threads: number;
  readonly apiToken: string | undefined;
  readonly publicUrl: string | undefined;
  readonly corsOrigins: readonly string[];
  readonly logLevel: string;
}

export function readConfig(env: NodeJS.ProcessEnv = process.env): ServiceConfig {
  const dataDir = resolve(env["STEPLOG_DATA"] ?? "data");
  return {
    databaseUrl: filled(env["DATABASE_URL"]) ?? null,
    dataDir,
    modelsDir: resolve(env["STEPLOG_MODELS"] ?? `${dataDir}/models`),
    storageDir: resolve(env["STEPLOG_STORAGE"] ?? `${dataDir}/storage`),
    host: env["STEPLOG_HOST"] ?? "127.0.0.1",
    port: portOf(env["PORT"] ?? "4000"),
    device: env["STEPLOG_DEVICE"] ?? "auto",
    threads: threadsOf(env["STEPLOG_THREADS"] ?? "0"),
    apiToken: filled(env["STEPLOG_API_TOKEN"]),
    publicUrl: filled(env["STEPLOG_PUBLIC_URL"]),
    corsOrigins: (env["STEPLOG_CORS_ORIGINS"] ?? "").split(",").flatMap((origin) => origin.trim() || []),
    logLevel: env["STEPLOG_LOG_LEVEL"] ?? "info",
  };
}

/** The hub's own variables, under the names that its other programs read. */
export function readHubAccess(env: NodeJS.ProcessEnv = process.env): HubAccess {
  const endpoint = filled(env["HF_ENDPOINT"]) ?? "https://huggingface.co";
  if (!/^https?:\/\//u.test(endpoint) || !URL.canParse(endpoint)) {
    throw new SteplogError(
      "INVALID_ARGUMENT",
      `HF_ENDPOINT is ${JSON.stringify(endpoint)}; give an address, https://...`,
    );
  }
  return { endpoint, token: filled(env["HF_TOKEN"]) };
}

/** A variable that is set to nothing counts as not set. */
export function filled(value: string | undefined): string | undefined {
  return value === "" ? undefined : value;
}

/** @throws INVALID_ARGUMENT with what to set */
export function needDatabaseUrl(config: ServiceConfig): string {
  if (config.databaseUrl !== null) return config.databaseUrl;
  throw new SteplogError(
    "INVALID_ARGUMENT",
    "DATABASE_URL is not set. Set it to postgres://user:password@host:5432/database, or use `steplog start`, which brings its own Postgres.",
  );
}

function portOf(text: string): number {
  const port = Number(text);
  if (text.trim() !== "" && Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new SteplogError("INVALID_ARGUMENT", `PORT is ${JSON.stringify(text)}; give a whole number from 0 to 65535.`);
}

function threadsOf(text: string): number {
  const threads = Number(text);
  if (text.trim() !== "" && Number.isInteger(threads) && threads >= 0 && threads <= 1_024) return threads;
  throw new SteplogError(
    "INVALID_ARGUMENT",
    `STEPLOG_THREADS is ${JSON.stringify(text)}; give a whole number from 1 to 1024, or 0 for as many as there are cores.`,
  );
}
