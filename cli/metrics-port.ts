/**
 * The port on which a worker shows its metrics, and that it lives: /healthz, without a token, for probes. A gateway shows its
 * own beside everything else.
 */
import { createServer, type Server } from "node:http";
import type { Registry } from "prom-client";
import { SteplogError } from "../schema/errors.ts";
import { isLoopback } from "../server/access.ts";
import { sendJson } from "../server/http/json.ts";
import { hasToken } from "../server/metrics.ts";
import type { ServiceConfig } from "./config.ts";

/** Null without a port. @throws INVALID_ARGUMENT beyond this machine without a token; UNAVAILABLE for a port that is taken */
export async function serveMetrics(
  registry: Pick<Registry, "metrics" | "contentType">,
  { metricsPort: port, metricsToken: token, host }: Pick<ServiceConfig, "metricsPort" | "metricsToken" | "host">,
): Promise<Server | null> {
  if (port === undefined) return null;
  if (token === undefined && !isLoopback(host))
    throw new SteplogError(
      "INVALID_ARGUMENT",
      `Anybody who reaches ${host} could read this worker's metrics. Set STEPLOG_METRICS_TOKEN, or STEPLOG_HOST to 127.0.0.1.`,
    );
  const server = createServer((request, response) => {
    if (request.url === "/healthz") sendJson(response, 200, { status: "ok" });
    else if (request.url !== "/metrics") response.writeHead(404).end();
    else if (token !== undefined && !hasToken(request, token)) response.writeHead(401).end();
    else
      registry.metrics().then(
        (text) => response.writeHead(200, { "content-type": registry.contentType }).end(text),
        () => response.writeHead(500).end(),
      );
  });
  await new Promise<void>((resolve, reject) => {
    const refused = (cause: Error) =>
      reject(new SteplogError("UNAVAILABLE", `Cannot listen on ${host}:${port}: ${cause.message}.`, [], { cause }));
    server.once("error", refused);
    server.listen(port, host, resolve);
  });
  // Its port does not keep the process from ending.
  return server.unref();
}
