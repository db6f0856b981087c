/** Maps paths to what answers them. Every error of every route is sent by `sendError`. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { SteplogError, asSteplogError } from "../../schema/errors.ts";
import type { RateName } from "../../schema/rates.ts";
import type { Store } from "../../store/store.ts";
import type { Access } from "../access.ts";
import type { Charge, Services, ViewerServices } from "../context.ts";
import { whenGone } from "../context.ts";
import { readBody } from "./body.ts";
import { receiveDataset } from "./datasets.ts";
import { isDocs, sendDocs } from "./docs.ts";
import { toHttpError } from "../errors.ts";
import { decodePart, fileAt } from "./file-routes.ts";
import { endResponse } from "../last-answers.ts";
import { sendMetrics } from "../metrics.ts";
import { originOfRequest, requestIdOf, traceparentOf, withRequestId } from "../request-id.ts";
import type { Meter, RateLimits } from "../rate-limits.ts";
import type { Gateway } from "../gateway.ts";
import { sendGraphiQL, wantsGraphiQL } from "./graphiql.ts";
import { sendJson } from "./json.ts";
import { charge } from "./rate-headers.ts";
import { sendPage } from "./page.ts";
import { handleOpenAI, isOpenAI, sendOpenAIError } from "../openai/routes.ts";
import { readTarget } from "./target.ts";

export interface RoutesOptions {
  readonly store: Store;
  readonly services: Services;
  readonly gateway: Gateway;
  readonly access: Access;
  readonly rateLimits: RateLimits;
  readonly originOf: (host: string | undefined) => string;
  /** Has the server end a response when it closes: an event stream does not end by itself. */
  readonly track: (response: ServerResponse) => void;
  readonly metricsToken: string | undefined;
  /** Folder of the web page. Without it, / shows a few links. */
  readonly dashboardDir?: string | undefined;
  /** Folder of the built documentation. */
  readonly docsDir?: string | undefined;
  /** Path under which clients reach this gateway, if it is not the root of its host. */
  readonly prefix: string;
}

export function createRoutes(options: RoutesOptions) {
  return (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const requestId = requestIdOf(request);
    response.setHeader("x-request-id", requestId);
    const log = options.services.log.child({ requestId });
    const mine = { ...options, services: { ...options.services, log } };
    return withRequestId(requestId, () => traced(mine, requestId, request, response));
  };
}

/** With a span, where requests are traced. */
async function traced(
  options: RoutesOptions,
  requestId: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { tracing } = options.services;
  const route = pathIn(request);
  if (!tracing || !tracedRoutes.has(route)) return answer(options, request, response);
  const { method = "" } = request;
  const attributes = { "http.request.method": method, "http.route": route, "steplog.request.id": requestId };
  const span = tracing.start(`${method} ${route}`, { kind: "SERVER", attributes, parent: traceparentOf(request) });
  response.once("close", () => {
    span.set({ "http.response.status_code": response.statusCode });
    if (response.statusCode >= 500) span.failed(String(response.statusCode));
    span.end();
  });
  return tracing.within(span, () => answer(options, request, response));
}

/** Not what asks again every few seconds whether this process lives. */
const tracedRoutes = new Set(["/graphql", "/v1", "/datasets", "/uploads", "/checkpoints"]);

interface Asking extends ViewerServices {
  readonly meter: Meter | null;
}

async function answer(options: RoutesOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { log, metrics } = options.services;
  const start = performance.now();
  // What is written after a client has gone is an event, which would end the process if nobody listened.
  response.on("error", (error) => log.debug({ err: error }, "an answer broke"));
  response.once("close", () => {
    const ms = Math.round(performance.now() - start);
    const [path, status] = [pathIn(request), response.statusCode];
    log.debug({ method: request.method, path, status, ms }, "request");
    metrics.answered(path, status, ms / 1_000);
  });
  try {
    await route(options, request, response);
  } catch (error) {
    metrics.failed(asSteplogError(error).code);
    const send = pathIn(request) === "/v1" ? sendOpenAIError : sendError;
    send(options.services, error, request, response);
  }
}

async function route(options: RoutesOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { services, gateway, access, originOf } = options;
  /** Who asks; the request is charged to one of the viewer's limits. */
  const authenticated = async (limit: RateName): Promise<Asking> => {
    const viewer = await access.authenticate(request);
    const meter = options.rateLimits.meterOf(viewer, request, await access.asks());
    if (meter) await charge(meter, { name: limit, points: 1 }, response);
    response.once(
      "close",
      access.onEnd(request.headers.authorization, viewer, () => endResponse(response)),
    );
    return { ...services, store: options.store.of(viewer, originOfRequest(request)), meter };
  };
  const url = readTarget(request, options.prefix);
  const { pathname } = url;
  if (pathname === "/healthz") return sendJson(response, 200, { status: "ok" });
  if (pathname === "/readyz") return sendReady(options.store, response);
  await checkHost(access, request, response);
  if (pathname === "/metrics") {
    const { metricsToken } = options;
    return sendMetrics({ registry: services.metrics.registry, access, metricsToken }, request, response);
  }
  // The upload protocol has its own CORS rules.
  const isUpload = pathname === "/uploads" || pathname.startsWith("/uploads/");
  if (!isUpload && access.cors(request, response)) return;
  if (pathname === "/graphql" && wantsGraphiQL(request)) return sendGraphiQL(request, response);
  if (request.method !== "GET" && request.method !== "HEAD") access.checkOrigin(request);

  if (isOpenAI(pathname))
    return handleOpenAI({ services: await authenticated("openai"), track: options.track }, pathname, request, response);
  if (pathname === "/graphql") {
    const mine = await authenticated("graphql");
    const { meter } = mine;
    const chargeMore: Charge = async (points) => {
      if (meter) await charge(meter, { name: "graphql", points }, response);
    };
    if (request.method === "POST") Object.assign(request, { body: Readable.from([await readBody(request, response)]) });
    const signal = whenGone(response);
    await gateway(request, response, { ...mine, origin: originOf(request.headers.host), signal, charge: chargeMore });
    return;
  }
  if (isUpload) {
    if (request.method === "OPTIONS") return services.uploads.handle(request, response, null);
    const { store } = await authenticated("files");
    store.demand("write");
    return services.uploads.handle(request, response, store.viewer);
  }
  // A browser that asks for this address wants the page of datasets.
  if (pathname === "/datasets" && request.method !== "GET" && request.method !== "HEAD") {
    return receiveDataset(await authenticated("files"), url, request, response);
  }
  onlyReads(request);
  const file = fileAt(pathname);
  if (file) {
    const { store } = await authenticated("files");
    store.demand("read");
    return file({ store, url, request, response });
  }
  if (isDocs(pathname)) return sendDocs(options.docsDir, decodePart(pathname), request, response);
  return options.dashboardDir === undefined
    ? sendLinks(pathname, response)
    : sendPage({ root: options.dashboardDir, prefix: options.prefix }, decodePart(pathname), request, response);
}

/** For the log, in which nothing that a user wrote may appear: a path may be anything, a search a whole query. */
function pathIn({ url = "" }: IncomingMessage): string {
  return /^\/(?:graphql|v1|datasets|uploads|checkpoints|healthz|readyz|metrics)\b/u.exec(url)?.[0] ?? "of the page";
}

/** 403, since 401 would ask for a token. @throws UNAUTHENTICATED */
async function checkHost(access: Access, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (!(await access.hostAllowed(request))) response.statusCode = 403;
  await access.checkHost(request);
}

function onlyReads(request: IncomingMessage): void {
  if (request.method === "GET" || request.method === "HEAD") return;
  throw new SteplogError("NOT_FOUND", `This path does not accept ${request.method}; it accepts GET and HEAD.`);
}

async function sendReady(store: Store, response: ServerResponse): Promise<void> {
  await store.ping();
  sendJson(response, 200, { status: "ready" });
}

function sendLinks(pathname: string, response: ServerResponse): void {
  if (pathname !== "/") throw new SteplogError("NOT_FOUND", `There is nothing at ${pathname}.`);
  const links = '<a href="/graphql">GraphQL API and its documentation</a> · <a href="/readyz">status</a>';
  response.setHeader("content-type", "text/html; charset=utf-8");
  response.end(`<!doctype html><meta charset="utf-8"><title>Steplog</title><h1>Steplog</h1><p>${links}</p>\n`);
}

function sendError({ log }: Services, error: unknown, request: IncomingMessage, response: ServerResponse): void {
  if (response.headersSent || response.destroyed) {
    log.debug({ err: error, path: pathIn(request) }, "an answer was cut off");
    response.destroy();
    return;
  }
  const { status, headers, body } = toHttpError(error, log);
  for (const header of ["content-length", "content-disposition", "cache-control", "etag"])
    response.removeHeader(header);
  // A client reads the answer after it has sent its body, so the rest of a refused body is read and dropped.
  if (!request.complete) request.resume();
  response.writeHead(response.statusCode === 200 ? status : response.statusCode, {
    "content-type": "application/json",
    ...headers,
  });
  response.end(request.method === "HEAD" ? undefined : body);
}
