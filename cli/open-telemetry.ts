/**
 * Traces by OpenTelemetry, sent as JSON over HTTP (OTLP). Loaded only where they are wanted. OpenTelemetry itself reads its
 * standard variables: where to send them (OTEL_EXPORTER_OTLP_*), which to keep (OTEL_TRACES_SAMPLER), how many may wait
 * (OTEL_BSP_*), and what else to say of this process (OTEL_RESOURCE_ATTRIBUTES).
 *
 * A collector that is down, or slow, costs the spans: a few thousand wait in memory, and others are dropped.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { setTimeout as delay } from "node:timers/promises";
import {
  type Context,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  isSpanContextValid,
  trace,
  type Span as OtelSpan,
  type SpanContext,
} from "@opentelemetry/api";
import { type ExportResult, ExportResultCode, parseTraceParent } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from "@opentelemetry/resources";
import { BasicTracerProvider, BatchSpanProcessor, type ReadableSpan } from "@opentelemetry/sdk-trace-base";
import type { Log } from "../schema/log.ts";
import { version } from "../schema/package.ts";
import type { Attributes, Span, SpanOptions, Tracing } from "../schema/tracing.ts";

export interface Traces extends Tracing {
  /** Sends what waits; false when that took too long and was given up. */
  close(): Promise<boolean>;
}

/** How long the last spans may take when the process ends. */
const closeMs = 2_000;

/** @param service what the process is, unless OTEL_SERVICE_NAME says it */
export function startTraces(service: string, log: Log): Traces {
  const exporter = new TellingExporter(log);
  const processor = new BatchSpanProcessor(exporter);
  const own = resourceFromAttributes({ "service.name": service, "service.version": version });
  const resource = defaultResource()
    .merge(own)
    .merge(detectResources({ detectors: [envDetector] }));
  const provider = new BasicTracerProvider({ resource, spanProcessors: [processor] });
  const current = new AsyncLocalStorage<OpenSpan>();
  const tracer = provider.getTracer("steplog", version);
  return {
    start: (name, options) => startSpan(tracer, name, options, current.getStore() ?? null),
    within: (span, work) => (span instanceof OpenSpan ? current.run(span, work) : work()),
    current: () => current.getStore() ?? null,
    async close() {
      const sent = provider.shutdown().then(
        () => true,
        () => true,
      );
      return Promise.race([sent, delay(closeMs, false, { ref: true })]);
    },
  };
}

const kinds = { SERVER: SpanKind.SERVER, CONSUMER: SpanKind.CONSUMER } as const;

function startSpan(tracer: Tracer, name: string, options: SpanOptions = {}, current: OpenSpan | null): OpenSpan {
  const { kind, attributes = {}, parent = current, startedAt } = options;
  const remote = typeof parent === "string" ? remoteOf(parent) : null;
  const span = tracer.startSpan(
    name,
    {
      kind: kind === undefined ? SpanKind.INTERNAL : kinds[kind],
      attributes,
      links: remote ? [{ context: remote }] : [],
      ...(startedAt !== undefined && { startTime: startedAt }),
    },
    contextOf(parent, remote),
  );
  return new OpenSpan(span);
}

function contextOf(parent: Span | string | null, remote: SpanContext | null): Context {
  if (remote) return trace.setSpanContext(ROOT_CONTEXT, remote);
  return parent instanceof OpenSpan ? parent.context : ROOT_CONTEXT;
}

/** Null for what is no traceparent: it came over the network. */
function remoteOf(traceparent: string): SpanContext | null {
  const context = parseTraceParent(traceparent);
  return context && isSpanContextValid(context) ? { ...context, isRemote: true } : null;
}

class OpenSpan implements Span {
  readonly context: Context;
  readonly #span: OtelSpan;

  constructor(span: OtelSpan) {
    this.#span = span;
    this.context = trace.setSpan(ROOT_CONTEXT, span);
  }

  get traceparent(): string {
    const { traceId, spanId, traceFlags } = this.#span.spanContext();
    return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
  }

  set(attributes: Attributes): void {
    this.#span.setAttributes(attributes);
  }

  failed(code: string): void {
    this.#span.setAttribute("error.type", code).setStatus({ code: SpanStatusCode.ERROR });
  }

  end(at?: number): void {
    this.#span.end(at);
  }
}

/** How often a collector that takes nothing is spoken of. */
const tellMs = 60_000;

/** Says in the log that spans are lost, without the collector's words. */
class TellingExporter extends OTLPTraceExporter {
  readonly #log: Log;
  #told = -Infinity;

  constructor(log: Log) {
    // An idle connection does not keep the process.
    super({ httpAgentOptions: (protocol) => agentOf(protocol) });
    this.#log = log;
  }

  override export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    super.export(spans, (result) => {
      if (result.code === ExportResultCode.FAILED) this.#tell(result.error, spans.length);
      // The one who waits would tell it to everybody who listens to OpenTelemetry.
      done({ code: ExportResultCode.SUCCESS });
    });
  }

  #tell(error: Error | undefined, lost: number): void {
    const now = performance.now();
    if (now - this.#told < tellMs) return;
    this.#told = now;
    this.#log.warn({ error, lost }, "The collector of traces takes nothing: spans are lost.");
  }
}

function agentOf(protocol: string) {
  return protocol === "https:" ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true });
}
