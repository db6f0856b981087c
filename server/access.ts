/**
 * Who may use this server. If an API token is set, every request needs it except pages and health checks. Without one
 * the server is open, which is why it listens on 127.0.0.1 by default. Either way, a web page of another origin cannot
 * reach it through a visitor's browser unless that origin is on the list.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { SteplogError } from "../schema/errors.ts";

export interface AccessOptions {
  readonly apiToken?: string | undefined;
  /** Origins whose pages may use the API, such as https://app.example.org; "*" allows any. */
  readonly corsOrigins?: readonly string[] | undefined;
}

export class Access {
  readonly #token: Buffer | null;
  readonly #origins: readonly string[];

  constructor({ apiToken, corsOrigins }: AccessOptions) {
    this.#token = apiToken ? sha256(apiToken) : null;
    this.#origins = corsOrigins ?? [];
  }

  /** Whether this Authorization header is accepted. Both tokens are hashed first, so that their lengths are equal. */
  allows(authorization: unknown): boolean {
    if (this.#token === null) return true;
    const given = typeof authorization === "string" ? /^Bearer (.+)$/iu.exec(authorization)?.[1] : undefined;
    return given !== undefined && timingSafeEqual(sha256(given), this.#token);
  }

  /** @throws UNAUTHENTICATED */
  check(request: IncomingMessage): void {
    if (this.allows(request.headers.authorization)) return;
    throw new SteplogError("UNAUTHENTICATED", 'Send the API token in the header "Authorization: Bearer TOKEN".');
  }

  listed(origin: string): boolean {
    return this.#origins.includes("*") || this.#origins.includes(origin);
  }

  /** Programs send no Origin header. A browser sends one with every write and WebSocket, and pages cannot forge it. */
  originAllowed({ headers }: IncomingMessage): boolean {
    const { origin, host } = headers;
    if (origin === undefined || this.listed(origin)) return true;
    return URL.canParse(origin) && new URL(origin).host === host;
  }

  /** @throws UNAUTHENTICATED for a page of another origin that is not listed */
  checkOrigin(request: IncomingMessage): void {
    if (this.originAllowed(request)) return;
    const { origin } = request.headers;
    throw new SteplogError(
      "UNAUTHENTICATED",
      `Pages from ${origin} may not use this server. Add it to the allowed CORS origins.`,
    );
  }

  /** Sets the CORS headers. Returns true when the request was a preflight, which is then answered. */
  cors(request: IncomingMessage, response: ServerResponse): boolean {
    const { origin } = request.headers;
    if (origin === undefined || !this.listed(origin)) return false;
    response.setHeader("access-control-allow-origin", origin);
    response.setHeader("access-control-expose-headers", "content-disposition, content-length, content-range, etag");
    response.setHeader("vary", "Origin");
    if (request.method !== "OPTIONS") return false;
    response.setHeader("access-control-allow-methods", "GET, HEAD, POST");
    response.setHeader("access-control-allow-headers", "authorization, content-type, range");
    response.setHeader("access-control-max-age", "600");
    response.writeHead(204).end();
    return true;
  }
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
