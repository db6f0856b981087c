/** The GraphiQL page, shown at /graphql in a browser: one self-contained file, so that it works offline. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { invariant } from "../../schema/errors.ts";

/** Makes the browser refuse anything that this page would load from another host. */
const policy = [
  "default-src 'self' 'unsafe-inline' 'unsafe-eval' blob: data:",
  "connect-src 'self' ws: wss:",
  "frame-ancestors 'self'",
].join("; ");

const defaultQuery = `# Steplog: press the play button, or open the docs on the left.
query Overview {
  service { version }
  baseModels(first: 10) { nodes { id name parameters contextLength } }
  datasets(first: 10) { nodes { id name rows } }
  fineTunes(first: 10) { nodes { id name status loss progress { step steps stepsPerSecond } } }
}
`;

interface Page {
  readonly html: Buffer;
  readonly zipped: Buffer;
}

let page: Promise<Page> | undefined;

/** The page is 9 MB, 2 MB compressed, so it is built when a browser first requests it. */
async function makePage(): Promise<Page> {
  const { renderGraphiQL } = await import("@graphql-yoga/render-graphiql");
  const options = { title: "Steplog", defaultQuery, defaultEditorToolsVisibility: true };
  const html = Buffer.from(signedIn(renderGraphiQL(options), JSON.stringify(options)));
  return { html, zipped: await promisify(gzip)(html) };
}

/** GraphiQL asks with the key that the page of the service has in this browser (dashboard/src/api/session.ts), and keeps no copy. */
function signedIn(html: string, options: string): string {
  const [before, after, more] = html.split(options);
  invariant(before !== undefined && after !== undefined && more === undefined, "GraphiQL's page has its options once");
  const headers = `(key => key ? { authorization: "Bearer " + key } : {})(localStorage.getItem("steplog-token"))`;
  return `${before}{ ...${options}, additionalHeaders: ${headers} }${after}`;
}

export function wantsGraphiQL({ method, headers }: IncomingMessage): boolean {
  return (method === "GET" || method === "HEAD") && (headers.accept?.includes("text/html") ?? false);
}

export async function sendGraphiQL(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { html, zipped } = await (page ??= makePage());
  const zip = /\bgzip\b/u.test(request.headers["accept-encoding"]?.toString() ?? "");
  response.setHeader("content-type", "text/html; charset=utf-8");
  response.setHeader("content-security-policy", policy);
  response.setHeader("vary", "Accept, Accept-Encoding");
  if (zip) response.setHeader("content-encoding", "gzip");
  const body = zip ? zipped : html;
  response.setHeader("content-length", body.length);
  response.end(request.method === "HEAD" ? undefined : body);
}
