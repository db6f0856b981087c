/** Traces of a real gateway and a real worker, as a collector of OpenTelemetry gets them; and none, where nobody wants them. */
import { randomBytes } from "node:crypto";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { createClient } from "graphql-ws";
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { demoBase } from "../../cli/service.ts";
import type { CollectedSpan } from "../support/collector.ts";
import { startCollector } from "../support/collector.ts";
import { testService, until } from "./service.ts";

const token = "secret-of-the-operator";
const words = { row: "quixotically", prompt: "zephyrlike" };

/** A trace that the client has begun. */
function begun(flags = "01") {
  const [trace, span] = [randomBytes(16).toString("hex"), randomBytes(8).toString("hex")];
  return { trace, span, traceparent: `00-${trace}-${span}-${flags}` };
}

async function ask<T>(url: string, query: string, variables: object, headers: object = {}): Promise<T> {
  const response = await fetch(`${url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}`, ...headers },
    body: JSON.stringify({ query, variables, operationName: /^\w+ (\w+)/u.exec(query)?.[1] }),
  });
  const { data, errors } = (await response.json()) as { data: T; errors?: unknown };
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

async function askBySocket<T>(url: string, query: string, extensions: Record<string, unknown>): Promise<T> {
  const connectionParams = { authorization: `Bearer ${token}` };
  const client = createClient({
    url: `${url.replace("http", "ws")}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams,
  });
  for await (const { data, errors } of client.iterate({ query, extensions })) {
    await client.dispose();
    if (errors) throw new Error(JSON.stringify(errors));
    return data as T;
  }
  throw new Error("no answer");
}

const createDataset = "mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { id } }";
const createFineTune =
  "mutation Secretive($input: CreateFineTuneInput!) { createFineTune(input: $input) { fineTune { id } } }";
const fineTune = "query ($id: ID!) { fineTune(id: $id) { status } }";
const completion = "query ($id: ID!) { completion(id: $id) { status } }";
const createCompletion = `mutation { createCompletion(input: { model: { name: "demo" }, prompt: "The ${words.prompt} was", maxTokens: 4 }) { completion { id } } }`;

test(
  "a mutation over HTTP or WebSocket and the job that it makes are one trace, without a word of what was asked",
  { timeout: 60_000 },
  async () => {
    const collector = await startCollector();
    const service = await testService();
    await cp(demoBase, join(service.folder, "models", "demo"), { recursive: true });
    const tracing = {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_BSP_SCHEDULE_DELAY: "100",
      STEPLOG_API_TOKEN: token,
      STEPLOG_LOG_LEVEL: "debug",
    };
    const [{ running, url }, worker] = await Promise.all([
      service.startServer(0, tracing),
      service.startWorker(tracing),
    ]);

    const jsonl = Array.from({ length: 8 }, (_, row) =>
      JSON.stringify({ prompt: `${words.row} ${row}`, completion: row % 2 === 0 ? " good" : " bad" }),
    ).join("\n");
    const [training, asking, unsampled] = [begun(), begun(), begun("00")];
    const data = await ask<{ createDataset: { id: string } }>(
      url,
      createDataset,
      { input: { name: words.row, jsonl } },
      { traceparent: unsampled.traceparent },
    );
    const hyperparameters = { steps: 6, batchSize: 2, evaluateEvery: 2, learningRate: 1e-4 };
    const dataset = data.createDataset.id;
    const input = { name: words.row, baseModel: "demo", dataset, validationDataset: dataset, hyperparameters };
    const run = await ask<{ createFineTune: { fineTune: { id: string } } }>(
      url,
      createFineTune,
      { input },
      { traceparent: training.traceparent },
    );
    const answer = await askBySocket<{ createCompletion: { completion: { id: string } } }>(url, createCompletion, {
      traceparent: asking.traceparent,
    });
    const ended = async (query: string, id: string) =>
      Object.values(await ask<Record<string, { status: string }>>(url, query, { id }))[0]?.status === "SUCCEEDED";
    await until("the run", 30_000, () => ended(fineTune, run.createFineTune.fineTune.id));
    await until("the answer", 30_000, () => ended(completion, answer.createCompletion.completion.id));
    expect(await running.kill("SIGTERM")).toBe(0);
    expect(await worker.kill("SIGTERM")).toBe(0);

    const { spans } = collector;
    const inTrace = ({ trace }: { trace: string }) => spans.filter(({ traceId }) => traceId === trace);
    // Each span by the names from the client's down to it.
    const pathsOf = (of: ReturnType<typeof begun>) => inTrace(of).map((span) => pathOf(span, spans, of.span));
    const http = "client > POST /graphql > mutation createFineTune";
    const train = `${http} > resolve createFineTune > transaction > job FINE_TUNE`;
    const parts = ["queue", "load", "evaluation", "steps", "checkpoint", "finish"];
    expect(new Set(pathsOf(training))).toEqual(
      new Set([
        "client > POST /graphql",
        http,
        `${http} > resolve createFineTune`,
        `${http} > resolve createFineTune > transaction`,
        train,
        ...parts.map((part) => `${train} > ${part}`),
      ]),
    );
    const steps = inTrace(training).filter(({ name }) => name === "steps");
    expect(steps.map(({ attributes }) => attributes["steplog.steps"])).toEqual([2, 2, 2]);
    const answered = pathsOf(asking);
    const complete = "client > mutation createCompletion > resolve createCompletion > transaction > job COMPLETE";
    for (const part of ["queue", "read", "load", "first token", "rest", "finish"])
      expect(answered).toContain(`${complete} > ${part}`);

    const job = inTrace(training).find(({ name }) => name === "job FINE_TUNE");
    expect(job).toMatchObject({ service: "steplog-worker", failed: false });
    expect(job?.links.map(({ spanId }) => spanId)).toEqual([job?.parentSpanId]);
    const inJob = inTrace(training).filter(({ parentSpanId }) => parentSpanId === job?.spanId);
    for (const { name, startMs, endMs } of inJob.filter(({ name }) => name !== "queue"))
      expect({ name, within: startMs >= (job?.startMs ?? 0) - 2 && endMs <= (job?.endMs ?? 0) + 2 }).toEqual({
        name,
        within: true,
      });

    expect(inTrace(unsampled)).toEqual([]);
    const sent = collector.bodies.join("\n");
    for (const secret of [words.row, words.prompt, token, "Secretive", "insert into", "good"])
      expect(sent).not.toContain(secret);
    // Nor do the logs of either say what was asked, trained on or sent along.
    for (const log of [running.output(), worker.output()]) {
      expect(log).toContain('"msg"');
      for (const secret of [words.row, words.prompt, token, "Secretive"]) expect(log).not.toContain(secret);
    }
  },
);

function pathOf(span: CollectedSpan, spans: readonly CollectedSpan[], client: string): string {
  const above = spans.find(({ spanId }) => spanId === span.parentSpanId);
  const parent = span.parentSpanId === client ? "client" : above ? pathOf(above, spans, client) : "nobody";
  return `${parent} > ${span.name}`;
}

/** Says at its end which packages of OpenTelemetry it has loaded. */
const tellsLoaded = `--import=data:text/javascript,${encodeURIComponent(
  `import { createRequire } from "node:module"; const { cache } = createRequire("file:///tmp/x.js");
   process.on("exit", () => console.error("LOADED " + Object.keys(cache).filter((path) => path.includes("@opentelemetry/")).join(" ")));`,
)}`;

test(
  "a collector that never answers keeps nothing waiting; without one nothing is loaded",
  { timeout: 60_000 },
  async () => {
    const collector = await startCollector();
    collector.isSilent = true;
    const service = await testService();
    const told = { NODE_OPTIONS: tellsLoaded };
    const starts = ["auto", "no"].map((STEPLOG_TRACES) =>
      service.startServer(0, {
        ...told,
        STEPLOG_TRACES,
        STEPLOG_API_TOKEN: token,
        ...(STEPLOG_TRACES === "auto" && { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: "50" }),
      }),
    );
    const [traced, untraced] = await Promise.all(starts);
    if (!traced || !untraced) throw new Error("both have started");
    for (let row = 0; row < 20; row++)
      await ask(traced.url, createDataset, { input: { name: "rows", jsonl: `{"prompt":"${row}","completion":" a"}` } });
    const before = performance.now();
    expect(await traced.running.kill("SIGTERM")).toBe(0);
    expect(performance.now() - before).toBeLessThan(5_000);
    expect(traced.running.output()).toContain("@opentelemetry/sdk-trace");
    expect(await untraced.running.kill("SIGTERM")).toBe(0);
    expect(untraced.running.output()).toMatch(/LOADED(?!.*(?:sdk-trace|otlp))/u);
  },
);
