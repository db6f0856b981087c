/** A collector of OpenTelemetry, as small as it can be: it takes spans as JSON over HTTP, and keeps them. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import { onTestFinished } from "vitest";

export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly service: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly failed: boolean;
}

export interface Collector {
  readonly url: string;
  readonly spans: CollectedSpan[];
  /** Everything that came, as it came. */
  readonly bodies: string[];
  /** Hears requests and never answers. */
  isSilent: boolean;
}

interface Value {
  readonly stringValue?: string;
  readonly intValue?: number | string;
  readonly doubleValue?: number;
  readonly boolValue?: boolean;
}
type Attributes = readonly { readonly key: string; readonly value: Value }[];

interface Traces {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: Attributes };
    readonly scopeSpans: readonly {
      readonly spans: readonly (Pick<CollectedSpan, "traceId" | "spanId" | "parentSpanId" | "name"> & {
        readonly startTimeUnixNano: string;
        readonly endTimeUnixNano: string;
        readonly attributes: Attributes;
        readonly links?: CollectedSpan["links"];
        readonly status: { readonly code?: number };
      })[];
    }[];
  }[];
}

/** It ends with the test. */
export async function startCollector(): Promise<Collector> {
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      if (collector.isSilent) return;
      const sent = Buffer.concat(pieces);
      const body = (request.headers["content-encoding"] === "gzip" ? gunzipSync(sent) : sent).toString();
      const isRight = request.url === "/v1/traces" && request.headers["content-type"] === "application/json";
      if (isRight) {
        collector.bodies.push(body);
        collector.spans.push(...read(JSON.parse(body) as Traces));
      }
      response.writeHead(isRight ? 200 : 400, { "content-type": "application/json" }).end("{}");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const collector: Collector = { url: `http://127.0.0.1:${port}`, spans: [], bodies: [], isSilent: false };
  return collector;
}

function read({ resourceSpans }: Traces): CollectedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans
      .flatMap(({ spans }) => spans)
      .map(({ startTimeUnixNano, endTimeUnixNano, attributes, links = [], status, ...span }) => ({
        ...span,
        service: String(asObject(resource.attributes)["service.name"]),
        startMs: Number(BigInt(startTimeUnixNano) / 1_000n) / 1_000,
        endMs: Number(BigInt(endTimeUnixNano) / 1_000n) / 1_000,
        attributes: asObject(attributes),
        links,
        failed: status.code === 2,
      })),
  );
}

function asObject(attributes: Attributes): Record<string, unknown> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [
      key,
      value.stringValue ?? value.boolValue ?? Number(value.intValue ?? value.doubleValue),
    ]),
  );
}
