/** The configuration of the service and of access to the hub, from the environment (environment.ts). */
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import type { HubAccess } from "../models/hub/hub.ts";
import type { Proxies } from "../models/hub/proxy.ts";
import { readTokenFile, tokenOf } from "../models/hub/token.ts";
import { SteplogError } from "../schema/errors.ts";
import type { RateOptions } from "../server/rate-limits.ts";
import type { CompletionLimits } from "../server/server.ts";
import type { BucketBlobsOptions } from "../store/store.ts";
import { readVariable } from "./environment.ts";

export interface ServiceConfig {
  /** Null: `start` runs an embedded Postgres. */
  readonly databaseUrl: string | null;
  /** Postgres itself, when databaseUrl is a pooler's. */
  readonly directUrl: string | undefined;
  /** Folder of everything that the service keeps on this machine. */
  readonly dataDir: string;
  readonly modelsDir: string;
  readonly storageDir: string;
  /** Null: stored files are in storageDir. With a bucket, only uploads that are not complete are. */
  readonly bucket: BucketBlobsOptions | null;
  readonly cacheDir: string;
  readonly cacheBytes: number;
  /** After how many seconds runs give way; 0 for never. And how many bytes of their weights are kept. */
  readonly timeSlice: { readonly seconds: number; readonly keptBytes: number };
  /** Null for any number. */
  readonly mostRuns: number | null;
  /** Whether a worker stores its base models for others. */
  readonly sharesModels: boolean;
  /** Installed devices (`steplog device install`). */
  readonly devicesDir: string;
  readonly host: string;
  readonly port: number;
  readonly device: string;
  /** Threads of the native device; 0 for every core. */
  readonly threads: number;
  readonly serve: ServeConfig;
  /** Seconds without work after which `start` ends its worker until there is some; 0 for never. */
  readonly workerIdleS: number;
  /** Of workers that are alike; null for a worker by itself. */
  readonly workerPool: string | null;
  readonly apiToken: string | undefined;
  readonly publicUrl: string | undefined;
  readonly corsOrigins: readonly string[];
  readonly allowedHosts: readonly string[];
  readonly openToEveryone: boolean;
  /** How long entries of the audit log are kept; 0 for ever. */
  readonly auditDays: number;
  /** Which webhooks may go to private addresses: all, or those of these hosts. */
  readonly allowPrivateWebhooks: true | readonly string[];
  readonly completions: CompletionLimits;
  /** Seconds that rebuilt weights stay after their last use; 0 for as long as their checkpoint. */
  readonly keepExportsS: number;
  /** Of GraphQL: what clients may name, and whether only that may run. */
  readonly documents: { readonly file: string | undefined; readonly only: boolean };
  readonly rateLimits: RateOptions;
  readonly metricsToken: string | undefined;
  readonly metricsPort: number | undefined;
  /** Whether traces are sent. */
  readonly traces: boolean;
  readonly logLevel: string;
}

export const serveModes = ["training", "inference", "both"] as const;
export type ServeMode = (typeof serveModes)[number];

/** How a worker answers requests. */
export interface ServeConfig {
  readonly mode: ServeMode;
  /** Threads set aside; 0 to take turns with a run. */
  readonly threads: number;
  /** Of the time, 0 to 1. */
  readonly share: number;
  /** Null for a part of the machine's memory. */
  readonly memoryBytes: number | null;
  readonly diskBytes: number;
  readonly sequences: number;
  readonly precision: "auto" | "float32" | "bfloat16";
}

const megabyte = 1_000_000;

function readServeConfig(env: NodeJS.ProcessEnv): ServeConfig {
  const memory = readVariable("STEPLOG_SERVE_MEMORY", env);
  return {
    mode: readVariable("STEPLOG_SERVE", env),
    threads: readVariable("STEPLOG_SERVE_THREADS", env),
    share: readVariable("STEPLOG_SERVE_SHARE", env) / 100,
    memoryBytes: memory === 0 ? null : memory * megabyte,
    diskBytes: readVariable("STEPLOG_SERVE_DISK", env) * megabyte,
    sequences: readVariable("STEPLOG_SERVE_SEQUENCES", env),
    precision: readVariable("STEPLOG_SERVE_PRECISION", env),
  };
}

/** @throws SteplogError INVALID_ARGUMENT naming the variable that is wrong */
export function readConfig(env: NodeJS.ProcessEnv = process.env): ServiceConfig {
  const dataDir = resolve(readVariable("STEPLOG_DATA", env));
  return {
    databaseUrl: readVariable("DATABASE_URL", env) ?? null,
    directUrl: readVariable("DATABASE_DIRECT_URL", env),
    dataDir,
    modelsDir: resolve(readVariable("STEPLOG_MODELS", env) ?? `${dataDir}/models`),
    ...readStorage(env, dataDir),
    devicesDir: devicesFolder(env),
    host: readVariable("STEPLOG_HOST", env),
    port: readVariable("PORT", env),
    device: readVariable("STEPLOG_DEVICE", env),
    threads: readVariable("STEPLOG_THREADS", env),
    serve: readServeConfig(env),
    workerIdleS: readVariable("STEPLOG_WORKER_IDLE", env),
    workerPool: readVariable("STEPLOG_WORKER_POOL", env) ?? null,
    apiToken: readVariable("STEPLOG_API_TOKEN", env),
    publicUrl: readVariable("STEPLOG_PUBLIC_URL", env),
    corsOrigins: listOf(readVariable("STEPLOG_CORS_ORIGINS", env)),
    allowedHosts: listOf(readVariable("STEPLOG_ALLOWED_HOSTS", env)),
    openToEveryone: readVariable("STEPLOG_OPEN_TO_EVERYONE", env) === "yes",
    auditDays: readVariable("STEPLOG_AUDIT_DAYS", env),
    allowPrivateWebhooks: privateWebhooks(readVariable("STEPLOG_WEBHOOK_ALLOW_PRIVATE", env)),
    completions: {
      queueLimit: readVariable("STEPLOG_QUEUE_LIMIT", env),
      waitS: readVariable("STEPLOG_QUEUE_WAIT", env),
      keepS: readVariable("STEPLOG_KEEP_COMPLETIONS", env),
    },
    keepExportsS: readVariable("STEPLOG_KEEP_EXPORTS", env),
    documents: {
      file: readVariable("STEPLOG_PERSISTED_DOCUMENTS", env),
      only: readVariable("STEPLOG_PERSISTED_ONLY", env) === "yes",
    },
    rateLimits: {
      mode: readVariable("STEPLOG_RATE_LIMITS", env),
      rates: {
        graphql: readVariable("STEPLOG_RATE_GRAPHQL", env),
        openai: readVariable("STEPLOG_RATE_OPENAI", env),
        files: readVariable("STEPLOG_RATE_FILES", env),
      },
      proxies: readVariable("STEPLOG_PROXIES", env),
    },
    metricsToken: readVariable("STEPLOG_METRICS_TOKEN", env),
    metricsPort: readVariable("STEPLOG_METRICS_PORT", env),
    traces: wantsTraces(env),
    logLevel: readVariable("STEPLOG_LOG_LEVEL", env),
  };
}

/** OpenTelemetry reads the addresses itself. */
function wantsTraces(env: NodeJS.ProcessEnv): boolean {
  const wanted = readVariable("STEPLOG_TRACES", env);
  const names = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] as const;
  const addresses = names.map((name) => readVariable(name, env));
  return wanted === "auto" ? addresses.some((address) => address !== undefined) : wanted === "yes";
}

function readStorage(env: NodeJS.ProcessEnv, dataDir: string) {
  const storage = readVariable("STEPLOG_STORAGE", env);
  const bucket = storage?.startsWith("s3:") ? readBucket(storage, env) : null;
  const shares = readVariable("STEPLOG_SHARE_MODELS", env);
  return {
    storageDir: resolve(storage === undefined || bucket ? `${dataDir}/storage` : storage),
    bucket,
    cacheDir: resolve(readVariable("STEPLOG_CACHE", env) ?? `${dataDir}/cache`),
    cacheBytes: readVariable("STEPLOG_CACHE_DISK", env) * megabyte,
    timeSlice: {
      seconds: readVariable("STEPLOG_TIME_SLICE", env),
      keptBytes: readVariable("STEPLOG_TIME_SLICE_DISK", env) * megabyte,
    },
    mostRuns: readVariable("STEPLOG_CONCURRENT_RUNS", env) || null,
    sharesModels: shares === "auto" ? bucket !== null : shares === "yes",
  };
}

/** @throws INVALID_ARGUMENT for an address that is not s3://BUCKET/PREFIX */
function readBucket(storage: string, env: NodeJS.ProcessEnv): BucketBlobsOptions {
  const [, bucket, prefix = ""] =
    /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/+([^?#]*?)\/*)?$/u.exec(storage) ?? [];
  if (bucket === undefined) {
    const seen = `STEPLOG_STORAGE is ${JSON.stringify(storage)}`;
    throw new SteplogError("INVALID_ARGUMENT", `${seen}. Give a folder, or s3://BUCKET or s3://BUCKET/PREFIX.`);
  }
  const endpoint = readVariable("STEPLOG_S3_ENDPOINT", env);
  const pathStyle = readVariable("STEPLOG_S3_PATH_STYLE", env);
  // Another S3 has no regions, but a signature names one.
  const usual = endpoint === undefined ? undefined : "us-east-1";
  return {
    bucket,
    prefix: prefix === "" ? "" : `${prefix}/`,
    endpoint,
    publicEndpoint: readVariable("STEPLOG_S3_PUBLIC_ENDPOINT", env),
    region: readVariable("STEPLOG_S3_REGION", env) ?? readVariable("AWS_REGION", env) ?? usual,
    pathStyle: pathStyle === undefined ? endpoint !== undefined : pathStyle === "yes",
    hasLinks: readVariable("STEPLOG_DOWNLOADS", env) === "links",
  };
}

/** What opens the store. */
export function storeOptions(config: ServiceConfig) {
  const { directUrl, storageDir, bucket, cacheDir, cacheBytes, mostRuns, auditDays } = config;
  return { directUrl, storageDir, bucket, cacheDir, cacheBytes, mostRuns, auditDays };
}

/** The folder of installed devices. */
export function devicesFolder(env: NodeJS.ProcessEnv = process.env): string {
  return resolve(readVariable("STEPLOG_DEVICES", env) ?? join(readVariable("STEPLOG_DATA", env), "devices"));
}

function privateWebhooks(given: string): true | readonly string[] {
  if (given === "yes") return true;
  return given === "no" ? [] : listOf(given.toLowerCase());
}

function listOf(text = ""): string[] {
  return text.split(",").flatMap((entry) => entry.trim() || []);
}

/** How to reach the hub: from the variables that its other programs read, too. */
export async function readHubAccess(env: NodeJS.ProcessEnv = process.env): Promise<HubAccess> {
  const named = (["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] as const).map((name) => tokenOf(readVariable(name, env), name));
  const token = named.find((found) => found !== undefined) ?? (await readTokenFile(tokenPath(env)));
  return { endpoint: readVariable("HF_ENDPOINT", env), token };
}

/** Where `hf auth login` stores its token. */
export function tokenPath(env: NodeJS.ProcessEnv): string {
  const home = readVariable("HF_HOME", env) ?? join(readVariable("XDG_CACHE_HOME", env), "huggingface");
  return atHome(readVariable("HF_TOKEN_PATH", env) ?? join(home, "token"));
}

/** Expands a leading ~, which no shell does in a file of variables. */
function atHome(path: string): string {
  return path.replace(/^~(?=\/|$)/u, homedir());
}

/** The proxies of this machine's network; null when there are none. */
export function readProxies(env: NodeJS.ProcessEnv = process.env): Proxies | null {
  const http = readVariable("HTTP_PROXY", env);
  const https = readVariable("HTTPS_PROXY", env) ?? http;
  return https === undefined ? null : { http, https, except: readVariable("NO_PROXY", env) ?? "" };
}

/** @throws SteplogError INVALID_ARGUMENT with what to set */
export function needDatabaseUrl(config: ServiceConfig): string {
  if (config.databaseUrl !== null) return config.databaseUrl;
  throw new SteplogError(
    "INVALID_ARGUMENT",
    "DATABASE_URL is not set. Set it to postgres://user:password@host:5432/database, or use `steplog start`, which runs its own Postgres.",
  );
}
