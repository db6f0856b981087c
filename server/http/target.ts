/**
 * Where a request goes. A target or Host header that is not plainly one path of one host is refused, since a proxy in
 * front and the parts behind might each read it in their own way. What was sent is not repeated in the answer.
 */
import type { IncomingMessage } from "node:http";
import { SteplogError } from "../../schema/errors.ts";

/** A name, an IPv4 address or an IPv6 address in brackets, and perhaps a port. */
const hostShape = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/iu;

/**
 * The request's URL. Afterwards `url` and the Host header of the request agree with it, and `/graphql/` is `/graphql`, so
 * that libraries which read them again see the same.
 * @param prefix a path that a proxy may have left in front of ours, such as "/steplog"
 * @throws INVALID_ARGUMENT
 */
export function readTarget(request: IncomingMessage, prefix = ""): URL {
  const { url: target = "", headers } = request;
  const host = readHost(request);
  // Clients of proxies send the whole address, whose host then counts (RFC 9112, 3.2.2).
  const text = /^https?:\/\//iu.test(target) ? target : `http://${host ?? "localhost"}${target}`;
  const isPath = text === target || target.startsWith("/");
  if (!isPath || !URL.canParse(text)) throw malformed("target", "Send a path such as /graphql.");
  const url = new URL(text);
  // To a browser and to some proxies, //name is a host and no path.
  if (url.pathname.startsWith("//")) throw malformed("target", "Send a path with one slash at its start.");
  if (prefix !== "" && `${url.pathname}/`.startsWith(`${prefix}/`)) url.pathname = url.pathname.slice(prefix.length);
  if (url.pathname === "/graphql/") url.pathname = "/graphql";
  request.url = url.pathname + url.search;
  if (text === target) headers.host = url.host;
  return url;
}

/** Undefined for a program that speaks HTTP/1.0. */
function readHost({ headers: { host }, rawHeaders }: IncomingMessage): string | undefined {
  const sent = rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === "host").length;
  if (sent > 1) throw malformed("Host header", "Send it once.");
  if (host === undefined || (hostShape.test(host) && URL.canParse(`http://${host}`))) return host;
  throw malformed("Host header", "Send a name or an address, with a port if it is not 80.");
}

function malformed(what: string, advice: string): SteplogError {
  return new SteplogError("INVALID_ARGUMENT", `The ${what} of the request is malformed. ${advice}`);
}
