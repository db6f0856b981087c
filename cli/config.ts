/** The environment variables of the service, read once, here and nowhere else. deploy/README.md lists them. */
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { SteplogError } from "../schema/errors.ts";
import type { HubAccess } from "../models/hub/hub.ts";
import type { Proxies } from "../models/hub/proxy.ts";
import { readTokenFile, tokenOf } from "../models/hub/token.ts";

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
export async function readHubAccess(env: NodeJS.ProcessEnv = process.env): Promise<HubAccess> {
  const endpoint = filled(env["HF_ENDPOINT"]) ?? "https://huggingface.co";
  if (!/^https?:\/\//u.test(endpoint) || !URL.canParse(endpoint)) {
    throw new SteplogError(
      "INVALID_ARGUMENT",
      `HF_ENDPOINT is ${JSON.stringify(endpoint)}; give an address, https://...`,
    );
  }
  const token =
    tokenOf(env["HF_TOKEN"], "HF_TOKEN") ??
    tokenOf(env["HUGGING_FACE_HUB_TOKEN"], "HUGGING_FACE_HUB_TOKEN") ??
    (await readTokenFile(tokenPath(env)));
  return { endpoint, token };
}

/** Where `hf auth login` leaves its token. */
export function tokenPath(env: NodeJS.ProcessEnv): string {
  const named = filled(env["HF_TOKEN_PATH"]);
  if (named !== undefined) return atHome(named);
  const cache = filled(env["XDG_CACHE_HOME"]) ?? "~/.cache";
  return atHome(join(filled(env["HF_HOME"]) ?? join(cache, "huggingface"), "token"));
}

/** A ~ that no shell has replaced, as in a file of variables. */
function atHome(path: string): string {
  return path.replace(/^~(?=\/|$)/u, homedir());
}

/** The proxies of this machine's network; null when there are none. As elsewhere, the name in lower case wins. */
export function readProxies(env: NodeJS.ProcessEnv = process.env): Proxies | null {
  const http = proxyOf(filled(env["http_proxy"]) ?? filled(env["HTTP_PROXY"]), "HTTP_PROXY");
  const https = proxyOf(filled(env["https_proxy"]) ?? filled(env["HTTPS_PROXY"]), "HTTPS_PROXY") ?? http;
  if (https === undefined) return null;
  return { http, https, except: filled(env["no_proxy"]) ?? filled(env["NO_PROXY"]) ?? "" };
}

/** @throws INVALID_ARGUMENT, without the address: there may be a password in it */
function proxyOf(text: string | undefined, name: string): string | undefined {
  if (text === undefined) return undefined;
  const address = text.includes("://") ? text : `http://${text}`;
  try {
    const { protocol, username, password } = new URL(address);
    decodeURIComponent(username + password);
    if (protocol === "http:" || protocol === "https:") return address;
  } catch {
    // Said below.
  }
  throw new SteplogError("INVALID_ARGUMENT", `${name} is no address of an HTTP proxy; give http://HOST:PORT.`);
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
