/** Trackers go on after what they have, also once they are back; one that fails fails alone. */
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { appendFile, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { TrackerFeed } from "../../cli/trackers/feed.ts";
import { csvFile, wandbLines } from "../../cli/trackers/lines.ts";
import { mlflowServer } from "../../cli/trackers/mlflow.ts";
import { crc32c, eventOf, pointsOf, record, tensorboardFolder } from "../../cli/trackers/tensorboard.ts";
import type { OpenTracker, Point } from "../../cli/trackers/tracker.ts";
import { scratch } from "../support/models.ts";

const steps = (first: number, last: number): Point[] =>
  Array.from({ length: last - first + 1 }, (_, k) => ({ step: first + k, values: { "train/loss": 0.5 + first + k } }));
const evaluation: Point = { step: 2, values: { "validation/loss": 0.25, "validation/accuracy": 1 } };

async function follow(opener: OpenTracker, points: readonly Point[], status: string | null = null): Promise<string[]> {
  const warnings: string[] = [];
  const feed = new TrackerFeed([opener], (message) => void warnings.push(message));
  for (const point of points) feed.add(point);
  const lacking = await feed.close(status);
  return [...warnings, ...lacking];
}

test.each([
  ["CSV", csvFile, "3,tra", "step,series,value\n1,train/loss,1.5\n"],
  ["JSON lines", wandbLines, '{"_step":3,', '{"_step":1,"_timestamp":'],
] as const)("%s: a second follow goes on where the first was killed", async (_name, openerOf, cut, start) => {
  const path = join(await scratch(), "file");
  expect(await follow(openerOf(path), steps(1, 2))).toEqual([]);
  await appendFile(path, cut);
  await follow(openerOf(path), [...steps(1, 4), evaluation]);
  const text = await readFile(path, "utf8");
  expect(text.startsWith(start)).toBe(true);
  expect(text.match(/train\/loss/gu)).toHaveLength(4);
  await follow(openerOf(path), [...steps(1, 4), evaluation]);
  expect(await readFile(path, "utf8")).toBe(text);
});

test("TensorBoard: bytes as its formats have them, and a second follow goes on", async () => {
  // The check value of CRC-32C.
  expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
  const event = eventOf({ step: 300, values: { a: 1 } }, 2);
  // wall_time 2.0, step 300, summary { value { tag "a" simple_value 1.0 } }
  expect(event.toString("hex")).toBe("09000000000000004010ac022a0a0a080a0161150000803f");
  const framed = record(event);
  expect(framed.readBigUInt64LE(0)).toBe(BigInt(event.length));
  const crc = crc32c(event);
  expect(framed.readUInt32LE(12 + event.length)).toBe((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0);
  const folder = await scratch();
  await follow(tensorboardFolder(folder), steps(1, 2));
  const [name = ""] = await readdir(folder);
  await appendFile(join(folder, name), framed.subarray(0, 20));
  await follow(tensorboardFolder(folder), [...steps(1, 4), evaluation]);
  const names = (await readdir(folder)).toSorted();
  const points = (await Promise.all(names.map((one) => readFile(join(folder, one))))).flatMap((file) => [
    ...pointsOf(file),
  ]);
  expect(points.toSorted((one, other) => one.step - other.step).map(({ step }) => step)).toEqual([1, 2, 2, 3, 4]);
  expect(points).toContainEqual(evaluation);
});

test("MLflow: one run for a fine-tune, metrics in batches, its end; and a second follow goes on", async () => {
  const { asked, opener } = await startMlflow();
  expect(await follow(opener, steps(1, 1_200))).toEqual([]);
  await follow(opener, steps(1, 1_201), "SUCCEEDED");
  const batches = asked.filter(({ path }) => path === "runs/log-batch").map(({ body }) => body["metrics"] as object[]);
  expect(batches.map(({ length }) => length)).toEqual([1_000, 200, 1]);
  expect(batches[2]).toMatchObject([{ key: "train/loss", step: 1_201, value: 1_201.5 }]);
  expect(asked.filter(({ path }) => path === "runs/create")).toMatchObject([
    { body: { experiment_id: "7", run_name: "mine", tags: [{ key: "steplog.fine_tune", value: "abc" }] } },
  ]);
  expect(asked.at(-1)).toMatchObject({ path: "runs/update", body: { run_id: "r", status: "FINISHED" } });
});

/** Which requests fail, one after the other: refused, or done without an answer. Null for one that succeeds. */
type Failure = "refused" | "done" | null;

test.each<[string, string, Failure[]]>([
  ["is away at first", "experiments/get-by-name?experiment_name=steplog", ["refused", "refused"]],
  ["makes a run without saying so", "runs/create", ["done"]],
  ["refuses a batch for a while", "runs/log-batch", [null, "refused", "refused"]],
  ["takes a batch without saying so", "runs/log-batch", ["done", "done"]],
  ["misses the end of the run", "runs/update", ["done", "refused"]],
])("MLflow %s: it gets everything once and in order", async (_what, path, failures) => {
  const mlflow = await startMlflow(new Map([[path, [...failures]]]));
  const warnings: string[] = [];
  const feed = new TrackerFeed([mlflow.opener], (message) => void warnings.push(message));
  for (const point of steps(1, 1_500)) feed.add(point);
  feed.add({ ...evaluation, step: 1_500 });
  expect(await feed.close("SUCCEEDED")).toEqual([]);
  expect(mlflow.logged.filter(({ key }) => key === "train/loss").map(({ step }) => step)).toEqual(
    steps(1, 1_500).map(({ step }) => step),
  );
  expect(mlflow.logged.filter(({ key }) => key !== "train/loss")).toHaveLength(2);
  expect(mlflow.runs).toHaveLength(1);
  expect(mlflow.asked.at(-1)).toMatchObject({ path: "runs/update", body: { status: "FINISHED" } });
  // The outage is told once, and its end.
  expect(warnings).toEqual([
    expect.stringMatching(/^--mlflow fails and is tried again; the run goes on: MLflow /u),
    "--mlflow works again, and has what it lacked.",
  ]);
});

test("what MLflow lacks at the end is told; the other trackers have all, and the next follow sends the rest", async () => {
  const away: Failure[] = Array.from({ length: 100 }, () => "refused");
  const mlflow = await startMlflow(new Map([["runs/log-batch", [null, ...away]]]));
  const path = join(await scratch(), "run.csv");
  const feed = new TrackerFeed([mlflow.opener, csvFile(path)], () => {});
  for (const point of steps(1, 1_500)) feed.add(point);
  expect(await feed.close("SUCCEEDED", 1_000)).toEqual([
    "--mlflow lacks 1500 measurements of steps 1 to 1500: MLflow answered 503: {}",
  ]);
  expect((await readFile(path, "utf8")).split("\n")).toHaveLength(1_502);
  expect(mlflow.logged).toHaveLength(1_000);
  expect(mlflow.asked.map((one) => one.path)).not.toContain("runs/update");
  mlflow.failures.clear();
  expect(await follow(mlflow.opener, steps(1, 1_500), "SUCCEEDED")).toEqual([]);
  expect(mlflow.logged.map(({ step }) => step)).toEqual(steps(1, 1_500).map(({ step }) => step));
});

test("what MLflow refuses for good is told, and not tried again", async () => {
  const { port, asked } = await answering(() => [401, {}]);
  const opener = mlflowServer(`http://127.0.0.1:${port}`, { id: "abc", name: "mine" });
  expect(await follow(opener, steps(1, 2), "SUCCEEDED")).toEqual([
    "--mlflow fails and is left out; the run goes on: MLflow answered 401: {}",
    "--mlflow lacks 2 measurements of steps 1 to 2: MLflow answered 401: {}",
  ]);
  expect(asked).toHaveLength(1);
  expect(await follow(mlflowServer("nowhere", { id: "abc", name: "mine" }), [], "SUCCEEDED")).toEqual([
    expect.stringMatching(/is left out/u),
    expect.stringMatching(/^--mlflow lacks the end of the run: MLflow does not answer: .*URL/u),
  ]);
});

interface Metric {
  readonly key: string;
  readonly step: number;
}

/** An MLflow as far as follow asks it. @param failures of each path */
async function startMlflow(failures: Map<string, Failure[]> = new Map()) {
  const logged: Metric[] = [];
  const runs: object[] = [];
  const latest = () => [...new Map(logged.map((one) => [one.key, one])).values()];
  const answers: Record<string, (body: Record<string, unknown>) => object> = {
    "experiments/create": () => ({ experiment_id: "7" }),
    "runs/search": () => (runs[0] ? { runs: [{ ...runs[0], data: { metrics: latest() } }] } : {}),
    "runs/create": () => ({ run: (runs[runs.length] = { info: { run_id: "r" } }) }),
    "runs/log-batch": (body) => ({ took: logged.push(...(body["metrics"] as Metric[])) }),
    "runs/update": () => ({}),
  };
  const { port, asked } = await answering((path, body) => {
    const failure = failures.get(path)?.shift() ?? null;
    if (failure === "refused") return [503, {}];
    const answer = answers[path]?.(body);
    return failure === "done" ? null : [answer ? 200 : 404, answer ?? {}];
  });
  return {
    asked,
    logged,
    runs,
    failures,
    opener: mlflowServer(`http://127.0.0.1:${port}/`, { id: "abc", name: "mine" }),
  };
}

/** @param answer the status and the body; null breaks the connection */
async function answering(answer: (path: string, body: Record<string, unknown>) => [number, object] | null) {
  const asked: { path: string; body: Record<string, unknown> }[] = [];
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      const path = (request.url ?? "").replace("/api/2.0/mlflow/", "");
      const body = JSON.parse(Buffer.concat(pieces).toString() || "{}") as Record<string, unknown>;
      asked.push({ path, body });
      const [status, text] = answer(path, body) ?? [];
      if (status === undefined) response.destroy();
      else response.writeHead(status).end(JSON.stringify(text));
    });
  }).listen(0, "127.0.0.1");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, asked };
}

test.each([
  ["a token", { MLFLOW_TRACKING_TOKEN: "t" }, "Bearer t"],
  [
    "a name",
    { MLFLOW_TRACKING_TOKEN: "t", MLFLOW_TRACKING_USERNAME: "me", MLFLOW_TRACKING_PASSWORD: "p" },
    "Basic bWU6cA==",
  ],
  ["neither", {}, undefined],
])("MLflow: every request has the credentials of %s", async (_what, env, credentials) => {
  const seen: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    seen.push(request.headers.authorization);
    request
      .resume()
      .on("end", () =>
        response.end(JSON.stringify({ experiment: { experiment_id: "7" }, run: { info: { run_id: "r" } } })),
      );
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  expect(await follow(mlflowServer(url, { id: "abc", name: "mine" }, env), steps(1, 2), "SUCCEEDED")).toEqual([]);
  server.close();
  expect(seen).toEqual(Array.from({ length: 5 }, () => credentials));
});

test("a tracker that fails is told, and fails alone", async () => {
  const folder = await scratch();
  await writeFile(join(folder, "file"), "");
  expect(await follow(csvFile(join(folder, "file", "below")), steps(1, 2))).toEqual([
    "--csv fails and is left out; the run goes on: a part of its path is a file, not a folder",
    "--csv lacks 2 measurements of steps 1 to 2: a part of its path is a file, not a folder",
  ]);
  const breaks: OpenTracker = {
    name: "--breaks",
    open: async () => ({ last: new Map(), write: () => Promise.reject(new Error("no sense")), close: async () => {} }),
  };
  const warnings: string[] = [];
  const path = join(folder, "fine.csv");
  const feed = new TrackerFeed([breaks, csvFile(path)], (message) => void warnings.push(message));
  for (const point of steps(1, 2)) feed.add(point);
  expect(await feed.close("SUCCEEDED")).toEqual(["--breaks lacks 2 measurements of steps 1 to 2: no sense"]);
  expect(warnings).toEqual(["--breaks fails and is left out; the run goes on: no sense"]);
  expect(await readFile(path, "utf8")).toBe("step,series,value\n1,train/loss,1.5\n2,train/loss,2.5\n");
});

test("a file that the disk has no room for goes on once there is some, with whole lines", async () => {
  const path = join(await scratch(), "run.csv");
  let isFull = true;
  const file = csvFile(path);
  const fills: OpenTracker = {
    name: file.name,
    async open() {
      const tracker = await file.open();
      const write = async (points: readonly Point[]) => {
        if (!isFull) return tracker.write(points);
        isFull = false;
        await appendFile(path, "1,train/loss,1.5\n2,tra");
        throw Object.assign(new Error("no room"), { code: "ENOSPC", syscall: "write" });
      };
      return { ...tracker, write };
    },
  };
  expect(await follow(fills, steps(1, 3), "SUCCEEDED")).toEqual([
    "--csv fails and is tried again; the run goes on: the disk is full",
    "--csv works again, and has what it lacked.",
  ]);
  expect(await readFile(path, "utf8")).toBe(
    "step,series,value\n1,train/loss,1.5\n2,train/loss,2.5\n3,train/loss,3.5\n",
  );
});
