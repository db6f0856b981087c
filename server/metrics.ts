/** What Prometheus reads of a gateway at /metrics: its requests, its process, and the queue, which is everybody's. */
import { timingSafeEqual, createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import { type ErrorCode, SteplogError } from "../schema/errors.ts";
import { isOperator } from "../schema/projects.ts";
import { type OutboxDepth, type QueueEntry, type Store, addPool } from "../store/store.ts";
import type { Access } from "./access.ts";
import { addStorage } from "./storage-metrics.ts";
import { SubscriptionMetrics } from "./subscription-metrics.ts";

/** There from the start: an alert sees no rise in what begins with the first error. */
const alerted: readonly ErrorCode[] = ["INTERNAL", "DATA_CORRUPT"];

export class Metrics {
  readonly registry = new Registry();
  readonly #requests: Histogram<"route" | "status">;
  readonly #errors: Counter<"code">;
  readonly #sockets: Gauge;

  readonly subscriptions: SubscriptionMetrics;

  constructor(store: Pick<Store, "queue" | "workers" | "outbox" | "poolUse" | "blobs">) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.#requests = new Histogram({
      name: "steplog_http_request_seconds",
      help: "Requests by route and status, from the first byte to the last; streams are as long as they last.",
      labelNames: ["route", "status"],
      buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 60],
      registers,
    });
    this.#errors = new Counter({
      name: "steplog_errors_total",
      help: "Errors that clients got, by code.",
      labelNames: ["code"],
      registers,
    });
    for (const code of alerted) this.#errors.inc({ code }, 0);
    this.#sockets = new Gauge({ name: "steplog_websockets", help: "Open WebSockets.", registers });
    this.subscriptions = new SubscriptionMetrics(registers);
    addQueue(store, registers);
    addStorage(store, registers);
    addPool(registers, () => store.poolUse());
  }

  /** @param route one of a few names, never a path */
  answered(route: string, status: number, seconds: number): void {
    this.#requests.observe({ route, status: `${Math.floor(status / 100)}xx` }, seconds);
  }

  failed(code: string): void {
    this.#errors.inc({ code });
  }

  socket(change: 1 | -1): void {
    this.#sockets.inc(change);
  }
}

/** Read from the store with each scrape. While it does not answer, the scrape has the rest. */
function addQueue(
  { queue, workers, outbox }: Pick<Store, "queue" | "workers" | "outbox">,
  registers: Registry[],
): void {
  // A scrape asks all gauges at once: those of one reading wait for the same one, or they would have what the last scrape read.
  const ofJobs = together(
    async () => setJobs(await queue.depth()),
    () => setJobs([]),
  );
  const ofWorkers = together(
    async () => setWorkers(await workers.list()),
    () => live.reset(),
  );
  const ofDeliveries = together(
    async () => setDeliveries(await outbox.depth()),
    // A gauge without labels is reset to zero, from which alerts would then see it rise.
    () => [deliveries, oldestDelivery, disabled].forEach((gauge) => gauge.remove()),
  );
  const jobs = new Gauge({
    name: "steplog_queue_jobs",
    help: "Jobs by kind: free to be claimed, held by a worker, or waiting: after a failed attempt, or for room in its project.",
    labelNames: ["kind", "state"],
    registers,
    collect: async () => void (await ofJobs()),
  });
  const oldest = new Gauge({
    name: "steplog_queue_oldest_seconds",
    help: "Age of the oldest job that no worker holds, by kind.",
    labelNames: ["kind"],
    registers,
    collect: async () => void (await ofJobs()),
  });
  const live = new Gauge({
    name: "steplog_workers",
    help: "Workers that report, by whether they sleep.",
    labelNames: ["asleep"],
    registers,
    collect: async () => void (await ofWorkers()),
  });
  const deliveries = new Gauge({
    name: "steplog_webhook_deliveries_waiting",
    help: "Deliveries of webhooks that are to be made, or made again.",
    registers,
    collect: async () => void (await ofDeliveries()),
  });
  const oldestDelivery = new Gauge({
    name: "steplog_webhook_oldest_seconds",
    help: "Age of the oldest delivery that waits.",
    registers,
    collect: async () => void (await ofDeliveries()),
  });
  const disabled = new Gauge({
    name: "steplog_webhooks_disabled",
    help: "Webhooks that were disabled because they failed for too long.",
    registers,
    collect: async () => void (await ofDeliveries()),
  });
  const up: Gauge = new Gauge({
    name: "steplog_store_up",
    help: "Whether Postgres answered this scrape.",
    registers,
    collect: async () => up.set((await Promise.all([ofJobs(), ofWorkers(), ofDeliveries()])).every(Boolean) ? 1 : 0),
  });
  const setJobs = (entries: readonly QueueEntry[]) => {
    jobs.reset();
    oldest.reset();
    const greatest = new Map<string, number>();
    for (const { kind, free, held, waiting, oldestSeconds } of entries) {
      jobs.inc({ kind, state: "free" }, free);
      jobs.inc({ kind, state: "held" }, held);
      jobs.inc({ kind, state: "waiting" }, waiting);
      greatest.set(kind, Math.max(greatest.get(kind) ?? 0, oldestSeconds ?? 0));
    }
    for (const [kind, seconds] of greatest) oldest.set({ kind }, seconds);
  };
  const setDeliveries = (depth: OutboxDepth) => {
    deliveries.set(depth.waiting);
    oldestDelivery.set(depth.oldestSeconds);
    disabled.set(depth.disabled);
  };
  const setWorkers = (list: readonly { readonly asleep: boolean }[]) => {
    live.set({ asleep: "no" }, list.filter(({ asleep }) => !asleep).length);
    live.set({ asleep: "yes" }, list.filter(({ asleep }) => asleep).length);
  };
}

/** Reads once for all who ask while it does; whether it could. @param clear takes off what was read before */
function together(work: () => Promise<void>, clear: () => void): () => Promise<boolean> {
  let reading: Promise<boolean> | null = null;
  const read = async () => {
    try {
      await work();
      return true;
    } catch {
      clear();
      return false;
    } finally {
      reading = null;
    }
  };
  return () => (reading ??= read());
}

interface Scrape {
  readonly registry: Registry;
  readonly access: Access;
  /** Reads metrics and nothing else; undefined for none. */
  readonly metricsToken: string | undefined;
}

/** For the metrics token, and for operators. @throws UNAUTHENTICATED, FORBIDDEN */
export async function sendMetrics(
  { registry, access, metricsToken }: Scrape,
  request: IncomingMessage,
  response: ServerResponse,
) {
  if (!hasToken(request, metricsToken) && !isOperator(await access.authenticate(request)))
    throw new SteplogError(
      "FORBIDDEN",
      "Metrics are of all projects: use STEPLOG_METRICS_TOKEN, or an operator's key.",
    );
  const text = await registry.metrics();
  response.writeHead(200, { "content-type": registry.contentType }).end(text);
}

/** Hashed first, so that the lengths are equal. */
export function hasToken({ headers: { authorization = "" } }: IncomingMessage, token: string | undefined): boolean {
  const sha256 = (value: string) => createHash("sha256").update(value).digest();
  return token !== undefined && timingSafeEqual(sha256(authorization), sha256(`Bearer ${token}`));
}
