/** Trackers go on after what they have, and one that fails fails alone. */
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { appendFile, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
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
  const feed = await TrackerFeed.open([opener], (message) => void warnings.push(message));
  for (const point of points) feed.add(point);
  await feed.close(status);
  return warnings;
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
  const asked: { path: string; body: Record<string, unknown> }[] = [];
  const metrics = new Map<string, { key: string; step: number }>();
  let run: object | null = null;
  const answers: Record<string, (body: Record<string, unknown>) => object> = {
    "experiments/create": () => ({ experiment_id: "7" }),
    "runs/search": () => (run ? { runs: [{ ...run, data: { metrics: [...metrics.values()] } }] } : {}),
    "runs/create": () => ({ run: (run = { info: { run_id: "r" } }) }),
    "runs/log-batch": (body) => {
      for (const one of body["metrics"] as { key: string; step: number }[]) metrics.set(one.key, one);
      return {};
    },
    "runs/update": () => ({}),
  };
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      const path = (request.url ?? "").replace("/api/2.0/mlflow/", "");
      const answer = answers[path];
      if (!answer) {
        response.writeHead(404).end("{}");
        return;
      }
      const body = JSON.parse(Buffer.concat(pieces).toString()) as Record<string, unknown>;
      asked.push({ path, body });
      response.end(JSON.stringify(answer(body)));
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const opener = mlflowServer(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, {
    id: "abc",
    name: "mine",
  });
  expect(await follow(opener, steps(1, 1_200))).toEqual([]);
  await follow(opener, steps(1, 1_201), "SUCCEEDED");
  server.close();
  const batches = asked.filter(({ path }) => path === "runs/log-batch").map(({ body }) => body["metrics"] as object[]);
  expect(batches.map(({ length }) => length)).toEqual([1_000, 200, 1]);
  expect(batches[2]).toMatchObject([{ key: "train/loss", step: 1_201, value: 1_201.5 }]);
  expect(asked.filter(({ path }) => path === "runs/create")).toMatchObject([
    { body: { experiment_id: "7", run_name: "mine", tags: [{ key: "steplog.fine_tune", value: "abc" }] } },
  ]);
  expect(asked.at(-1)).toMatchObject({ path: "runs/update", body: { run_id: "r", status: "FINISHED" } });
});

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
    expect.stringMatching(/cannot be used/u),
  ]);
  const breaks: OpenTracker = async () => ({
    name: "--breaks",
    last: new Map(),
    write: () => Promise.reject(new Error("no room")),
    close: async () => {},
  });
  const warnings: string[] = [];
  const path = join(folder, "fine.csv");
  const feed = await TrackerFeed.open([breaks, csvFile(path)], (message) => void warnings.push(message));
  for (const point of steps(1, 2)) feed.add(point);
  await feed.close("SUCCEEDED");
  expect(warnings).toEqual(["--breaks fails, and the run goes on without it: no room"]);
  expect(await readFile(path, "utf8")).toBe("step,series,value\n1,train/loss,1.5\n2,train/loss,2.5\n");
});
