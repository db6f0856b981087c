/** What Prometheus reads of gateways and workers, and who may; the ids of requests; and that alerts know real metrics. */
import { readFileSync } from "node:fs";
import { readdir, rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Registry } from "prom-client";
import { parse } from "yaml";
import { serveMetrics } from "../../cli/metrics-port.ts";
import { Metrics } from "../../server/metrics.ts";
import { addStorage } from "../../server/storage-metrics.ts";
import { openFolder } from "../../store/blobs/folder.ts";
import { scratch } from "../support/models.ts";
import { WorkerMetrics } from "../../worker/metrics.ts";
import { FakeWorker, createFineTune, testServer, type TestServer, wsClient } from "./harness.ts";

const longMs = 60_000;
let server: TestServer;
beforeAll(async () => {
  server = await testServer({ apiToken: "operator", metricsToken: "scraper" });
});
afterAll(() => server.dispose());

const get = (path: string, token?: string, headers: object = {}) =>
  fetch(`${server.url}${path}`, { headers: { ...(token && { authorization: `Bearer ${token}` }), ...headers } });

test("the metrics token reads metrics and nothing else; an operator reads them too, and nobody else", async () => {
  expect((await get("/metrics", "scraper")).status).toBe(200);
  expect((await get("/metrics", "operator")).status).toBe(200);
  expect((await get("/metrics")).status).toBe(401);
  expect((await get("/metrics", "other")).status).toBe(401);
  expect((await get("/v1/models", "scraper")).status).toBe(401);
  const { key } = await server.store.keys.create({
    projectId: (await server.store.projects.create("one")).id,
    name: "k",
    scopes: ["admin"],
    expiresInS: null,
  });
  expect((await get("/metrics", key)).status).toBe(403);
});

test("they have the queue as it is, requests by route, and errors by code", async () => {
  await get("/v1/models", "wrong");
  const text = await (await get("/metrics", "scraper")).text();
  expect(text).toMatch(/steplog_http_request_seconds_count\{route="\/v1",status="4xx"\} [1-9]/u);
  expect(text).toMatch(/steplog_errors_total\{code="UNAUTHENTICATED"\} [1-9]/u);
  expect(text).toContain("steplog_store_up 1");
  expect(text).toContain("steplog_storage_up 1");
  expect(text).toMatch(/nodejs_eventloop_lag_p99_seconds \d/u);
});

test("errors that alerts ask for are counted from zero, so that the first one is a rise", async () => {
  const text = await new Metrics(server.store).registry.metrics();
  const rules = readFileSync(new URL("../../deploy/prometheus/alerts.yml", import.meta.url), "utf8");
  const codes = [...rules.matchAll(/steplog_errors_total\{code="(\w+)"\}/gu)].map(([, code]) => code);
  expect(codes.length).toBeGreaterThan(1);
  for (const code of codes) expect(text).toContain(`steplog_errors_total{code="${code}"} 0`);
});

test("a scrape has what is in Postgres now; while that does not answer, no number rather than zero", async () => {
  const away = () => Promise.reject(new Error("away"));
  const { queue, workers, outbox } = server.store;
  let isAway = false;
  const metrics = new Metrics({
    ...server.store,
    queue: { ...queue, depth: () => (isAway ? away() : queue.depth()) },
    workers: { ...workers, list: () => (isAway ? away() : workers.list()) },
    outbox: { ...outbox, depth: async () => (isAway ? away() : { waiting: 3, oldestSeconds: 20, disabled: 2 }) },
  });
  // Of this scrape, not of the one before.
  const there = await metrics.registry.metrics();
  expect(there).toContain("steplog_store_up 1");
  expect(there).toContain('steplog_workers{asleep="no"}');
  expect(there).toContain("steplog_webhook_oldest_seconds 20");
  expect(there).toContain("steplog_webhooks_disabled 2");
  isAway = true;
  const text = await metrics.registry.metrics();
  expect(text).toContain("steplog_store_up 0");
  expect(text).toContain("steplog_storage_up 1");
  expect(text).not.toMatch(/^steplog_(?:queue|webhook|workers)/mu);
});

test.each([
  ["fails", () => Promise.reject(new Error("no room"))],
  ["does not answer", () => new Promise<void>(() => {})],
])("a storage that %s is down, and the scrape has the rest", { timeout: 10_000 }, async (_what, probe) => {
  const registry = new Registry();
  let asked = 0;
  addStorage({ blobs: { ...server.store.blobs, probe: () => ((asked += 1), probe()) } }, [registry]);
  expect(await registry.metrics()).toContain("steplog_storage_up 0");
  expect(await registry.metrics()).toContain("steplog_storage_up 0");
  expect(asked).toBe(1);
});

test("a folder in which nothing can be written does not answer", async () => {
  const folder = await scratch();
  const blobs = await openFolder(folder);
  await blobs.probe();
  expect(await readdir(join(folder, "incoming"))).toEqual([]);
  await rm(join(folder, "incoming"), { recursive: true });
  await writeFile(join(folder, "incoming"), "in its place");
  await expect(blobs.probe()).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

test("a request has the id that the client gave, or one of its own, in its answer and in the log", async () => {
  const given = await get("/v1/models", undefined, { "x-request-id": "mine-1" });
  expect(given.headers.get("x-request-id")).toBe("mine-1");
  const own = await get("/v1/models", undefined, { "x-request-id": "not {fit} for a log" });
  expect(own.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/u);
  await expect.poll(() => server.logged.some((line) => line.includes('"requestId":"mine-1"'))).toBe(true);
  expect(server.logged.join("")).not.toContain("fit");
});

test("an error that is our fault names the id of its request", async () => {
  const broken = await server.another({
    store: {
      ...server.store,
      of: () => {
        throw new Error("a bug");
      },
    },
  });
  try {
    const headers = { authorization: "Bearer operator", "x-request-id": "mine-2" };
    const answer = await fetch(`${broken.url}/v1/models`, { headers });
    expect(await answer.text()).toContain("details under mine-2.");
  } finally {
    await broken.close();
  }
});

const reported = {
  id: crypto.randomUUID(),
  name: "w",
  device: "plain",
  kinds: [],
  families: [],
  precisions: [],
  memoryBytes: 0,
  models: [],
  version: "0",
};

test("subscriptions are counted while they are open, and the lag of rows that are newer than they", async () => {
  const other = await testServer();
  const client = wsClient(other);
  try {
    const id = await createFineTune(other);
    const worker = await FakeWorker.claim(other.store);
    await worker.train(2);
    const rows = client.iterate<object>({
      query: "subscription ($id: ID!) { steps(fineTuneId: $id) { step { step } } }",
      variables: { id },
    });
    const next = async (count: number) => {
      for (let row = 0; row < count; row++) await rows.next();
    };
    await next(2);
    await worker.train(3);
    await next(3);
    const scrape = async () => (await fetch(`${other.url}/metrics`)).text();
    const text = await scrape();
    expect(text).toContain('steplog_subscriptions{feed="steps"} 1');
    expect(text).toContain('steplog_subscription_lag_seconds_count{feed="steps"} 3');
    await rows.return?.();
    await expect.poll(scrape).toContain('steplog_subscriptions{feed="steps"} 0');
  } finally {
    await client.dispose();
    await other.dispose();
  }
});

test("a worker counts jobs, steps, tokens and lost leases", async () => {
  const other = await testServer();
  try {
    const metrics = new WorkerMetrics();
    const store = metrics.watched(other.store);
    await createFineTune(other);
    const worker = await FakeWorker.claim(store);
    await worker.train(3);
    await store.releaseJob(worker.job);
    await expect(store.renewLease(worker.job, longMs)).rejects.toMatchObject({ code: "LEASE_LOST" });
    const serving = { memoryBytes: 9, usedBytes: 5, places: 1, requests: 0, warm: [] };
    await store.workers.report({ ...reported, serving });
    const text = await metrics.registry.metrics();
    expect(text).toContain('steplog_jobs_claimed_total{kind="FINE_TUNE"} 1');
    expect(text).toContain("steplog_step_seconds_count 3");
    expect(text).toContain("steplog_tokens_trained_total 30");
    expect(text).toContain("steplog_leases_lost_total 1");
    expect(text).toContain("steplog_jobs_released_total 1");
    expect(text).toContain("steplog_lease_renewal_seconds_count 1");
    expect(text).toContain('steplog_warm_bytes{what="used"} 5');
    expect(text).toContain("steplog_database_connections 10");
  } finally {
    await other.dispose();
  }
});

test("a worker's port needs the token but to say that it lives, and refuses to be open beyond this machine", async () => {
  const { registry } = new WorkerMetrics();
  const open = serveMetrics(registry, { metricsPort: 0, metricsToken: undefined, host: "0.0.0.0" });
  await expect(open).rejects.toThrow("Set STEPLOG_METRICS_TOKEN");
  const port = await serveMetrics(registry, { metricsPort: 0, metricsToken: "scraper", host: "127.0.0.1" });
  if (!port) throw new Error("a worker with a port listens");
  const base = `http://127.0.0.1:${(port.address() as AddressInfo).port}`;
  const url = `${base}/metrics`;
  expect((await fetch(url)).status).toBe(401);
  expect(await (await fetch(`${base}/healthz`)).json()).toEqual({ status: "ok" });
  const answer = await fetch(url, { headers: { authorization: "Bearer scraper" } });
  expect(await answer.text()).toContain("steplog_step_seconds_count 0");
  port.close();
});

interface Rules {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
}

test("alerts and dashboard ask for metrics that exist, and every alert has its place in the runbook", async () => {
  const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), "utf8");
  const rules = (parse(read("deploy/prometheus/alerts.yml")) as Rules).groups.flatMap((group) => group.rules);
  const dashboard = JSON.parse(read("deploy/grafana/steplog.json")) as { panels: { targets: { expr: string }[] }[] };
  const asked = [...rules, ...dashboard.panels.flatMap(({ targets }) => targets)].flatMap(
    ({ expr }) => expr.match(/\b(?:steplog|nodejs|process)_\w+/gu) ?? [],
  );
  const known = (await (await get("/metrics", "scraper")).text()) + (await new WorkerMetrics().registry.metrics());
  const names = new Set(known.match(/^# TYPE (\w+)/gmu)?.map((line) => line.slice(7)));
  expect(asked.length).toBeGreaterThan(15);
  expect(asked.filter((name) => !names.has(name.replace(/_(?:bucket|count|sum)$/u, "")))).toEqual([]);
  const runbook = read("docs/OPERATIONS.md");
  expect(rules.filter(({ alert }) => !runbook.includes(`### ${alert}`))).toEqual([]);
});
