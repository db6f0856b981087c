/**
 * The server: GraphQL over HTTP, server-sent events and WebSocket, uploads, downloads and the web page, on one port.
 * Its only state is open sockets and unfinished uploads; everything else is in the store.
 */
import { existsSync } from "node:fs";
import { createServer, type Server, type ServerResponse } from "node:http";
import { isIPv6 } from "node:net";
import { join } from "node:path";
import type { Logger } from "pino";
import { SteplogError } from "../schema/errors.ts";
import { faultOf } from "../schema/faults.ts";
import { usualKeepExportsS } from "../schema/expiry.ts";
import { usualCompletions } from "../schema/limits.ts";
import type { Tracing } from "../schema/tracing.ts";
import { Sandbox } from "../sandbox/sandbox.ts";
import type { Store } from "../store/store.ts";
import { Access, type AccessOptions, checkReach, isLoopback } from "./access.ts";
import type { Services } from "./context.ts";
import { Attention } from "./attention.ts";
import { createGateway } from "./gateway.ts";
import { type DocumentOptions, PersistedDocuments } from "./graphql/persisted-documents.ts";
import { KeyRing } from "./key-ring.ts";
import { removeErased } from "./http/erased-uploads.ts";
import { prefixOf } from "./http/page.ts";
import { createRoutes } from "./http/routes.ts";
import { hangUpOnStalled, stallMs } from "./http/stalled.ts";
import { Metrics } from "./metrics.ts";
import { promptSandbox } from "./prompts.ts";
import { type RateOptions, RateLimits, usualRateOptions } from "./rate-limits.ts";
import { serveSockets } from "./sockets.ts";
import { Uploads } from "./http/uploads.ts";
import { type AllowPrivate, addressesOf } from "./webhooks/addresses.ts";
import { posterOf } from "./webhooks/post.ts";
import { Sender } from "./webhooks/sender.ts";

export interface ServerConfig extends AccessOptions {
  readonly store: Store;
  readonly log: Logger;
  /** Where foreign bytes are read. Its owner closes it after the server. */
  readonly sandbox: Sandbox;
  /** 0 picks a free port. */
  readonly port: number;
  /** Folder of the base models; their tokenizers check datasets. */
  readonly modelsDir: string;
  /** Folder for uploads that are not datasets yet. */
  readonly uploadsDir: string;
  /** Folder of the built web page. */
  readonly dashboardDir?: string | undefined;
  /** Folder of the built documentation. */
  readonly docsDir?: string | undefined;
  /** Makes tokens of prompts; its owner closes it. One of the server's own if left out. */
  readonly promptSandbox?: Sandbox | undefined;
  /** Requests that may wait for a worker, for how long, and how long answers are kept; `usualCompletions` if left out. */
  readonly completions?: CompletionLimits | undefined;
  /** Seconds that rebuilt weights stay after their last use; `usualKeepExportsS` if left out. */
  readonly keepExportsS?: number | undefined;
  /** How many requests may come; `usualRateOptions` if left out. */
  readonly rateLimits?: RateOptions | undefined;
  /** Documents that clients may name, and whether only these may run; none if left out. */
  readonly documents?: Omit<DocumentOptions, "ofPage"> | undefined;
  /** Which webhooks may go to private addresses; none if left out. */
  readonly allowPrivateWebhooks?: AllowPrivate | undefined;
  /** With it, /metrics can be read, and nothing else. */
  readonly metricsToken?: string | undefined;
  /** Of requests; none when left out. The store has the same. */
  readonly tracing?: Tracing | null;
  /** How long a client that has stopped keeps its connection; see http/stalled.ts. */
  readonly stallMs?: number | undefined;
}

export interface CompletionLimits {
  readonly queueLimit: number;
  readonly waitS: number;
  readonly keepS: number;
}

export interface RunningServer {
  readonly url: string;
  /** Stops taking requests and tells live clients to reconnect. Done within 5 seconds. Safe to call twice. */
  close(): Promise<void>;
}

/** How long running requests may take to finish when the server closes. */
const drainMs = 3_000;
/** How often the store is asked to do what is due; it knows how often that is. */
const choresMs = 2_000;

/** What fails leaves nothing behind that keeps the process. @throws what a part that starts throws */
export async function startServer(config: ServerConfig): Promise<RunningServer> {
  const started: (() => void)[] = [];
  const end = () => started.forEach((stop) => stop());
  try {
    return await start(config, { started, end });
  } catch (error) {
    end();
    throw error;
  }
}

interface Ending {
  /** What ends each part that runs by itself. */
  readonly started: (() => void)[];
  readonly end: () => void;
}

async function start(config: ServerConfig, { started, end }: Ending): Promise<RunningServer> {
  const log = config.log.child({}, { serializers: { err: (error: unknown) => faultOf(error) } });
  const originOf = (host: string | undefined) =>
    config.publicUrl?.replace(/\/+$/u, "") ?? `http://${host ?? "localhost"}`;
  const documents = await PersistedDocuments.open({
    file: undefined,
    only: false,
    ...config.documents,
    ofPage: ofPage(config),
  });
  const hasKeys = await config.store.keys.any();
  checkReach(config, hasKeys);
  const ring = new KeyRing(config.store.keys, log);
  started.push(() => ring.close());
  const access = new Access(config, ring);
  const uploads = new Uploads({
    directory: config.uploadsDir,
    log,
    originOf,
    originAllowed: (origin) => access.listed(origin),
  });
  started.push(() => uploads.close());
  await uploads.prepare();
  const { store, sandbox, modelsDir } = config;
  const over = new AbortController();
  started.push(() => over.abort());
  void removeErased({ store, uploads, log }, over.signal);
  const promptBox = config.promptSandbox ?? new Sandbox(promptSandbox);
  if (!config.promptSandbox) started.push(() => promptBox.close());
  const attention = new Attention(store, log);
  started.push(() => attention.close());
  const { queueLimit, waitS, keepS } = config.completions ?? usualCompletions;
  const completions = {
    sandbox: promptBox,
    attention,
    queueLimit,
    waitMs: waitS * 1_000,
    keepMs: keepS * 1_000,
  };
  const webhookAddresses = addressesOf(config.allowPrivateWebhooks ?? []);
  const metrics = new Metrics(store);
  const tracing = config.tracing ?? null;
  const keepExportsSeconds = config.keepExportsS ?? usualKeepExportsS;
  const kept = { completions, keepExportsSeconds };
  const services: Services = { log, metrics, tracing, uploads, sandbox, modelsDir, ...kept, webhookAddresses };
  const gateway = createGateway({ log, metrics, tracing, documents });
  const prefix = prefixOf(config.publicUrl);
  const rateLimits = new RateLimits(config.rateLimits ?? usualRateOptions, isLoopback(config.host));
  const watched = metrics.subscriptions.watched(store);
  const parts = { store: watched, services, gateway, documents, access, rateLimits, originOf, prefix };
  const streams = new Set<ServerResponse>();
  const tracked = (response: ServerResponse) => track(streams, response);
  const { dashboardDir, docsDir, metricsToken } = config;
  const routes = createRoutes({ ...parts, track: tracked, dashboardDir, docsDir, metricsToken });
  const connectionsCheckingInterval = config.stallMs ?? stallMs;
  const http = createServer({ connectionsCheckingInterval }, (request, response) => {
    if (request.headers.accept?.includes("text/event-stream")) track(streams, response);
    routes(request, response).catch((error: unknown) => {
      log.error({ err: error }, "a request could not be answered");
      response.destroy();
    });
  });
  // Node takes its own listener off a connection that asks for an upgrade; without one, a reset would end the process.
  http.on("connection", (socket) => socket.on("error", (error) => log.debug({ err: error }, "a connection broke")));
  // Node gives a request five minutes; an upload of 256 MB over a slow connection takes longer.
  http.requestTimeout = 0;
  hangUpOnStalled(http, config.stallMs);
  const sockets = serveSockets({ http, ...parts, stallMs: connectionsCheckingInterval });
  started.push(() => sockets.close());
  await listen(http, { ...config, log });
  const url = urlOf(http, config.host);
  log.info({ url, auth: hasKeys ? "keys" : config.apiToken ? "token" : "none" }, "server is ready");
  const chores = setInterval(() => store.doChores(), choresMs).unref();
  const sender = new Sender({ outbox: store.outbox, poster: posterOf(webhookAddresses), log });

  let closing: Promise<void> | undefined;
  const close = async () => {
    const closed = new Promise<void>((resolve) => http.close(() => resolve()));
    sockets.close();
    clearInterval(chores);
    const sent = sender.close();
    for (const stream of streams) stream.destroy();
    // Kept-alive connections become idle once their last answer is sent.
    const idle = setInterval(() => http.closeIdleConnections(), 50);
    const drained = setTimeout(() => http.closeAllConnections(), drainMs);
    await Promise.all([closed, sent]);
    clearInterval(idle);
    clearTimeout(drained);
    end();
    log.info("server is closed");
  };
  return { url, close: () => (closing ??= close()) };
}

/** The build of the page lists its documents. */
function ofPage({ dashboardDir }: ServerConfig): string | undefined {
  const file = dashboardDir === undefined ? undefined : join(dashboardDir, "documents.json");
  return file !== undefined && existsSync(file) ? file : undefined;
}

/** An event stream does not end by itself. Closing destroys it, and the EventSource reconnects. */
function track(streams: Set<ServerResponse>, response: ServerResponse): void {
  streams.add(response);
  response.once("close", () => streams.delete(response));
}

/** @throws UNAVAILABLE when the port is taken or not permitted */
function listen(http: Server, { host, port, log }: ServerConfig): Promise<void> {
  return new Promise((resolve, reject) => {
    const refused = (cause: NodeJS.ErrnoException) => {
      const advice =
        cause.code === "EADDRINUSE" ? " Stop the program that has the port, or choose another with --port." : "";
      const message = `Cannot listen on ${host}:${port}: ${cause.message}.${advice}`;
      reject(new SteplogError("UNAVAILABLE", message, [], { cause }));
    };
    http.once("error", refused);
    http.listen(port, host, () => {
      http.off("error", refused);
      // A connection that cannot be accepted (too many open files) costs that connection, not the process.
      http.on("error", (error) => log.error({ err: error }, "cannot accept connections"));
      resolve();
    });
  });
}

function urlOf(http: Server, host: string): string {
  const address = http.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const visible = host === "0.0.0.0" || host === "::" ? "localhost" : host;
  return `http://${isIPv6(visible) ? `[${visible}]` : visible}:${port}`;
}
