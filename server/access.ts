/**
 * Who may use this server, and as whom. Once there are API keys, every request needs one, except pages and health checks; the
 * token of the environment, if it is set, is the operator's. Without either the server is open to whoever reaches it. It then
 * listens on this machine alone, unless its owner accepts more, and answers only under names of this machine or names that are
 * listed: a page of another site may give its own name this machine's address (DNS rebinding), and its requests would otherwise
 * look like those of our own page. Either way, a web page of another origin cannot reach it through a visitor's browser unless
 * that origin is on the list.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { BlockList, isIP, isIPv6 } from "node:net";
import { SteplogError } from "../schema/errors.ts";
import { type Viewer, operator } from "../schema/projects.ts";
import { rateHeaders } from "./http/rate-headers.ts";
import type { KeyRing } from "./key-ring.ts";

export interface AccessOptions {
  /** When set, every request needs it. */
  readonly apiToken?: string | undefined;
  /** Origins whose pages may use the API, such as https://app.example.org; "*" allows any. */
  readonly corsOrigins?: readonly string[] | undefined;
  /** Address to listen on. */
  readonly host: string;
  /** Address that clients use when a proxy hides the real one: https://steplog.example.org. */
  readonly publicUrl?: string | undefined;
  /** Names besides localhost, with or without a port, by which clients may call a server that has no token. */
  readonly allowedHosts?: readonly string[] | undefined;
  /** Lets a server without a token listen on more than this machine: whoever reaches it can use it. */
  readonly openToEveryone?: boolean | undefined;
}

/**
 * @param hasKeys whether there are API keys
 * @throws INVALID_ARGUMENT for a server that anybody could use without its owner having said so
 */
export function checkReach({ apiToken, host, openToEveryone }: AccessOptions, hasKeys: boolean): void {
  if (apiToken || hasKeys || openToEveryone || isLoopback(host)) return;
  throw new SteplogError(
    "INVALID_ARGUMENT",
    `Anybody who reaches ${host || "this machine"} could use this server, because it has neither API keys nor a ` +
      "token. Make a key (steplog keys create), or set STEPLOG_API_TOKEN, or listen on 127.0.0.1 (STEPLOG_HOST), or " +
      "accept the risk with --open-to-everyone (STEPLOG_OPEN_TO_EVERYONE=yes).",
  );
}

export class Access {
  readonly #token: Buffer | null;
  readonly #ring: KeyRing;
  /** Whether requests need a key even where there is none: the last one may be deleted while others reach this server. */
  readonly #alwaysAsks: boolean;
  readonly #origins: readonly string[];
  readonly #hosts: readonly string[];

  /** @throws INVALID_ARGUMENT for a token that cannot be sent */
  constructor(options: AccessOptions, ring: KeyRing) {
    const { apiToken, corsOrigins, host, publicUrl, allowedHosts, openToEveryone } = options;
    this.#ring = ring;
    this.#alwaysAsks = Boolean(apiToken) || !(openToEveryone === true || isLoopback(host));
    if (apiToken && !/^[\x21-\x7e]+$/u.test(apiToken))
      throw new SteplogError(
        "INVALID_ARGUMENT",
        "The API token has characters that no header can hold, such as a space.",
      );
    this.#token = apiToken ? sha256(apiToken) : null;
    this.#origins = (corsOrigins ?? []).map(originOf);
    const own = publicUrl && URL.canParse(publicUrl) ? [new URL(publicUrl).host] : [];
    const bound = host === "0.0.0.0" || host === "::" ? [] : [isIPv6(host) ? `[${host}]` : host];
    this.#hosts = [...own, ...bound, ...(allowedHosts ?? [])].map((name) => name.toLowerCase());
  }

  /** Whether requests need a key or the token. */
  async asks(): Promise<boolean> {
    return this.#alwaysAsks || this.#ring.any();
  }

  /** Who sends this Authorization header; null for nobody. Both tokens are hashed first, so that their lengths are equal. */
  async viewerOf(authorization: unknown): Promise<Viewer | null> {
    const given = bearerOf(authorization);
    if (given !== null && this.#token && timingSafeEqual(sha256(given), this.#token)) return operator;
    if (!(await this.asks())) return operator;
    return given === null ? null : this.#ring.viewerOf(given);
  }

  /** Calls `end` once the key of this header has ended; never for the token. Returns what to call when all is over. */
  onEnd(authorization: unknown, viewer: Viewer, end: () => void): () => void {
    const given = bearerOf(authorization);
    return given === null || viewer.key === null ? () => {} : this.#ring.onEnd(given, end);
  }

  /** @throws UNAUTHENTICATED */
  authenticate(request: IncomingMessage): Promise<Viewer> {
    return this.viewerBy(request.headers.authorization);
  }

  /** @throws UNAUTHENTICATED */
  async viewerBy(authorization: unknown): Promise<Viewer> {
    const viewer = await this.viewerOf(authorization);
    if (viewer) return viewer;
    throw new SteplogError(
      "UNAUTHENTICATED",
      bearerOf(authorization) === null
        ? 'Send an API key in the header "Authorization: Bearer KEY".'
        : "This API key is unknown, revoked or expired. Ask whoever runs the service for another one.",
    );
  }

  /** Browsers always say which host they mean, and pages cannot forge it. */
  async hostAllowed({ headers: { host } }: IncomingMessage): Promise<boolean> {
    if (host === undefined || (await this.asks())) return true;
    const { host: named, hostname } = new URL(`http://${host}`);
    return isLoopback(hostname) || this.#hosts.includes(hostname) || this.#hosts.includes(named);
  }

  /** @throws UNAUTHENTICATED for a host that is neither this machine nor listed */
  async checkHost(request: IncomingMessage): Promise<void> {
    if (await this.hostAllowed(request)) return;
    throw new SteplogError(
      "UNAUTHENTICATED",
      `This server has no API keys, so it does not answer as ${request.headers.host}. Make one (steplog keys create), ` +
        "set STEPLOG_API_TOKEN, or list the name in STEPLOG_ALLOWED_HOSTS.",
    );
  }

  listed(origin: string): boolean {
    return this.#origins.includes("*") || this.#origins.includes(origin);
  }

  /** Programs send no Origin header. A browser sends one with every write and WebSocket, and pages cannot forge it. */
  originAllowed({ headers }: IncomingMessage): boolean {
    const { origin, host } = headers;
    if (origin === undefined || this.listed(origin)) return true;
    if (!/^https?:/iu.test(origin) || !URL.canParse(origin)) return false;
    const page = new URL(origin);
    // Read with the page's scheme, the header loses its port where that is the usual one, as an origin does.
    return page.host === new URL(`${page.protocol}//${host}`).host;
  }

  /** @throws UNAUTHENTICATED for a page of another origin that is not listed */
  checkOrigin(request: IncomingMessage): void {
    if (this.originAllowed(request)) return;
    const { origin } = request.headers;
    throw new SteplogError(
      "UNAUTHENTICATED",
      `Pages from ${origin} may not use this server. Add the address to its STEPLOG_CORS_ORIGINS.`,
    );
  }

  /** Sets the CORS headers. Returns true when the request was a preflight, which is then answered. */
  cors(request: IncomingMessage, response: ServerResponse): boolean {
    const { origin } = request.headers;
    if (origin === undefined || !this.listed(origin)) return false;
    response.setHeader("access-control-allow-origin", origin);
    response.setHeader("access-control-expose-headers", exposed);
    response.setHeader("vary", "Origin");
    if (request.method !== "OPTIONS") return false;
    response.setHeader("access-control-allow-methods", "GET, HEAD, POST, DELETE");
    response.setHeader("access-control-allow-headers", [
      "authorization, content-type, range",
      ...askedHeaders(request),
    ]);
    response.setHeader("access-control-max-age", "600");
    response.writeHead(204).end();
    return true;
  }
}

const exposed = ["content-disposition", "content-length", "content-range", "etag", ...rateHeaders].join(", ");

/** Headers by which clients of the OpenAI protocol describe themselves. They change nothing. */
function askedHeaders({ headers }: IncomingMessage): string[] {
  const asked = headers["access-control-request-headers"] ?? "";
  return asked
    .split(",")
    .map((name) => name.trim())
    .filter((name) => /^(?:x-stainless|openai)-[\w-]{1,100}$/iu.test(name));
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8);
loopback.addAddress("::1", "ipv6");

/** Whether a name or address, an IPv6 one with or without brackets, always means this machine. */
export function isLoopback(host: string): boolean {
  const name = host
    .toLowerCase()
    .replace(/^\[(.*)\]$/u, "$1")
    .replace(/\.$/u, "");
  if (name === "localhost" || name.endsWith(".localhost")) return true;
  return isIP(name) !== 0 && loopback.check(name, isIPv6(name) ? "ipv6" : "ipv4");
}

/** An origin as browsers send it: without the slash that people write at its end, and without the usual port. */
function originOf(given: string): string {
  return /^https?:/iu.test(given) && URL.canParse(given) ? new URL(given).origin : given.replace(/\/+$/u, "");
}

/** What follows "Bearer"; null when there is nothing of the kind. */
function bearerOf(authorization: unknown): string | null {
  return typeof authorization === "string" ? (/^Bearer (.+)$/iu.exec(authorization)?.[1] ?? null) : null;
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
