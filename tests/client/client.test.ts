/** steplog/client against a real gateway and store; a worker's part is played through the store. */
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { FineTuneUpdate, FollowOptions } from "../../client/index.ts";
import { SteplogClient, SteplogError } from "../../client/index.ts";
import { decodeStepLog } from "../../schema/step-log.ts";
import { FakeWorker, globalId, rows, testServer, type TestServer } from "../server/harness.ts";
import { claimAny } from "../support/claims.ts";
import { scratch } from "../support/models.ts";

/** An id of the right form that nothing has. */
const nobody = globalId("FineTune", "00000000-0000-7000-8000-000000000000");

let server: TestServer;
let client: SteplogClient;
beforeAll(async () => {
  server = await testServer();
  client = new SteplogClient({ url: `${server.url}/` });
});
afterAll(() => server.dispose());

async function createRun(steps: number): Promise<string> {
  const dataset = await client.createDataset({ name: "rows", rows: [{ prompt: "It is", completion: " good" }] });
  const { id } = await client.createFineTune({
    name: "run",
    baseModel: "bytes",
    dataset: dataset.id,
    hyperparameters: { steps },
  });
  return id;
}

/** Reads a run to its end, or until there are `enough` updates. */
async function read(from: SteplogClient, id: string, options: FollowOptions = {}, enough = Infinity) {
  const updates: FineTuneUpdate[] = [];
  for await (const update of from.follow(id, options)) {
    updates.push(update);
    if (updates.length >= enough) break;
  }
  return updates;
}

const stepsOf = (updates: readonly FineTuneUpdate[]) =>
  updates.flatMap((update) => (update.type === "step" ? [update.step.step] : []));
const eventsOf = (updates: readonly FineTuneUpdate[]) =>
  updates.flatMap((update) => (update.type === "event" ? [update.event.sequence] : []));
const upTo = (count: number, from = 1) => Array.from({ length: count - from + 1 }, (_, index) => index + from);

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

describe("a dataset", () => {
  const sha256 = createHash("sha256")
    .update(`${rows(3)}\n`)
    .digest("hex");
  const objects = rows(3)
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const bytes = new TextEncoder().encode(`${rows(3)}\n`);

  test.each([
    ["a stream", () => ({ stream: new Blob([bytes]).stream() })],
    ["a blob", () => ({ stream: new Blob([bytes]) })],
    [
      "an async iterable of bytes",
      () => ({
        stream: (async function* chunks() {
          yield bytes;
        })(),
      }),
    ],
    ["objects", () => ({ rows: objects })],
    [
      "an async iterable of objects",
      () => ({
        rows: (async function* made() {
          yield* objects;
        })(),
      }),
    ],
  ])("comes from %s", async (_, source) => {
    expect(await client.createDataset({ name: "rows", ...source() })).toMatchObject({ name: "rows", rows: 3, sha256 });
  });

  test("comes from a file", async () => {
    const path = join(await scratch(), "rows.jsonl");
    await writeFile(path, bytes);
    expect(await client.createDataset({ name: "file", path })).toMatchObject({ name: "file", rows: 3, sha256 });
    await expect(client.createDataset({ name: "file", path: `${path}.not` })).rejects.toMatchObject({
      code: "NOT_FOUND",
      message: expect.stringContaining("rows.jsonl.not cannot be read: there is no such file") as string,
    });
  });

  test("is converted by a preset", async () => {
    const sentences = [{ sentence: "a joy", label: 1 }];
    expect(await client.createDataset({ name: "sst2", rows: sentences, preset: "SST2" })).toMatchObject({ rows: 1 });
  });

  test("with a wrong row is refused with its line", async () => {
    const wrong = client.createDataset({ name: "wrong", rows: [objects[0] ?? {}, { prompt: 5 }] });
    await expect(wrong).rejects.toBeInstanceOf(SteplogError);
    await expect(wrong).rejects.toMatchObject({
      code: "DATASET_INVALID",
      issues: [
        { line: 2, field: "prompt" },
        { line: 2, field: "completion" },
      ],
    });
  });
});

describe("follow", () => {
  test("gives every step and event once and in order, and the final status last", async () => {
    const id = await createRun(5);
    const worker = await FakeWorker.claim(server.store);
    const reading = read(client, id);
    await worker.train(3);
    await worker.train(2);
    await worker.succeed();
    const updates = await reading;
    expect(stepsOf(updates)).toStrictEqual(upTo(5));
    expect(eventsOf(updates)).toStrictEqual(upTo(3));
    expect(updates.at(-1)).toMatchObject({
      type: "status",
      fineTune: { id, status: "SUCCEEDED", progress: { step: 5 } },
      cursor: { step: 5, event: 3 },
    });
  });

  test("resumes after a cursor", async () => {
    const id = await createRun(6);
    const worker = await FakeWorker.claim(server.store);
    await worker.train(6);
    await worker.succeed();
    const first = await read(client, id, {}, 4);
    const cursor = first.at(-1)?.cursor;
    const rest = await read(client, id, cursor && { after: cursor });
    expect(stepsOf([...first, ...rest])).toStrictEqual(upTo(6));
    expect(eventsOf([...first, ...rest])).toStrictEqual(upTo(3));
  });

  test("survives a gateway that is gone for a while, without a gap or a double", async () => {
    const id = await createRun(40);
    const worker = await FakeWorker.claim(server.store);
    await worker.train(10);
    const gateway = await server.another();
    const updates: FineTuneUpdate[] = [];
    const sockets: WebSocket[] = [];
    class Counted extends WebSocket {
      constructor(...given: ConstructorParameters<typeof WebSocket>) {
        super(...given);
        sockets.push(this);
      }
    }
    const away = new SteplogClient({ url: gateway.url, webSocketImpl: Counted });
    const live: boolean[] = [];
    const reading = (async () => {
      for await (const update of away.follow(id, { onLive: (one) => live.push(one) })) updates.push(update);
    })();
    await until(() => stepsOf(updates).length === 10);
    await gateway.close();
    await worker.train(20);
    await new Promise((resolve) => setTimeout(resolve, 600));
    const again = await server.another({ port: Number(new URL(gateway.url).port) });
    await until(() => stepsOf(updates).length === 30);
    await worker.train(10);
    await worker.succeed();
    await reading;
    // By the client: an open one would keep its process from ending.
    await until(() => sockets.every(({ readyState }) => readyState === WebSocket.CLOSED));
    await again.close();
    expect(live).toStrictEqual([false, true]);
    expect(stepsOf(updates)).toStrictEqual(upTo(40));
    expect(eventsOf(updates)).toStrictEqual(upTo(3));
  });

  test("gives up after its patience", async () => {
    const gateway = await server.another();
    const id = await createRun(2);
    const away = new SteplogClient({ url: gateway.url });
    const updates = away.follow(id, { patienceMs: 300 });
    await updates.next();
    await gateway.close();
    await expect(
      (async () => {
        for await (const _ of updates);
      })(),
    ).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await client.cancel(id);
  });

  test("ends when its signal aborts", async () => {
    const id = await createRun(2);
    const controller = new AbortController();
    const updates = client.follow(id, { signal: controller.signal });
    await updates.next();
    setTimeout(() => controller.abort(new Error("enough")), 50);
    await expect(
      (async () => {
        for await (const _ of updates);
      })(),
    ).rejects.toThrow("enough");
    await client.cancel(id);
  });

  test("of an unknown run is NOT_FOUND", async () => {
    await expect(client.follow(nobody).next()).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});

describe("a run", () => {
  test("is waited for, and its log downloaded as bytes and to a file", async () => {
    const id = await createRun(4);
    const worker = await FakeWorker.claim(server.store);
    const waiting = client.wait(id);
    await worker.train(4);
    await worker.checkpoint();
    await worker.succeed();
    const { status, checkpoints } = await waiting;
    expect(status).toBe("SUCCEEDED");
    const [checkpoint] = checkpoints.nodes;
    if (!checkpoint) throw new Error("the run has a checkpoint");
    const bytes = await (await client.download(checkpoint.logUrl)).bytes();
    expect(decodeStepLog(bytes).entries).toHaveLength(4);
    const path = join(await scratch(), "logs", "run.steplog");
    await (await client.download(checkpoint.logUrl)).save(path);
    expect((await readFile(path)).equals(bytes)).toBe(true);
    await expect(client.downloadWeights(checkpoint, "nowhere")).rejects.toMatchObject({ code: "INVALID_STATE" });
  });

  test("is paused, resumed, cancelled, and continued", async () => {
    const id = await createRun(4);
    expect(await client.pause(id)).toMatchObject({ id, status: "PAUSED" });
    expect(await client.resume(id)).toMatchObject({ id, status: "QUEUED" });
    expect(await client.cancel(id)).toMatchObject({ id, status: "CANCELLED" });
    expect(await client.wait(id)).toMatchObject({ status: "CANCELLED" });
    await expect(client.continue(id, { steps: 2 })).rejects.toMatchObject({ code: "INVALID_STATE" });
  });

  test("has weights that a worker rebuilds, saved whole or not at all", async () => {
    const id = await createRun(2);
    const worker = await FakeWorker.claim(server.store);
    await worker.train(2);
    await worker.checkpoint();
    await worker.succeed();
    const [checkpoint] = (await client.fineTune(id)).checkpoints.nodes;
    const rebuilding = client.rebuild(checkpoint?.id ?? "");
    const job = await claimRebuild();
    const { sha256, bytes } = await server.store.blobs.put(new Blob(["weights"]).stream());
    await server.store.finishMaterialise(job, { weightsFiles: [{ name: "model.safetensors", sha256, bytes }] });
    const rebuilt = await rebuilding;
    expect(rebuilt).toMatchObject({ weightsStatus: "STORED", weightsFiles: [{ name: "model.safetensors", sha256 }] });
    const folder = await scratch();
    await client.downloadWeights(rebuilt, folder);
    expect(await readFile(join(folder, "model.safetensors"), "utf8")).toBe("weights");
    const wrong = { ...rebuilt, weightsFiles: rebuilt.weightsFiles.map((file) => ({ ...file, sha256: "00" })) };
    const other = await scratch();
    await expect(client.downloadWeights(wrong, other)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await expect(readFile(join(other, "model.safetensors"))).rejects.toThrow("ENOENT");
  });
});

async function claimRebuild() {
  for (;;) {
    const job = await claimAny(server.store, "test", 60_000);
    if (job) return job;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe("errors", () => {
  test("carry the service's code and the wrong fields", async () => {
    const wrong = client.createFineTune({ name: "x", baseModel: "bytes", hyperparameters: { steps: 0 } });
    await expect(wrong).rejects.toBeInstanceOf(SteplogError);
    await expect(wrong).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(client.fineTune(nobody)).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(client.query("{ colour }")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  test("say when nobody answers", async () => {
    const away = new SteplogClient({ url: "http://127.0.0.1:9" });
    await expect(away.fineTune(nobody)).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("http://127.0.0.1:9 does not answer") as string,
    });
  });

  test("of a missing token, over HTTP and WebSocket; the token opens both", async () => {
    const closed = await server.another({ apiToken: "secret" });
    const without = new SteplogClient({ url: closed.url });
    await expect(without.fineTune(nobody)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    await expect(without.follow(nobody).next()).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    const id = await createRun(1);
    const allowed = new SteplogClient({ url: closed.url, token: () => "secret" });
    expect(await allowed.fineTune(id)).toMatchObject({ id });
    expect(await read(allowed, id, {}, 1)).toHaveLength(1);
    await client.cancel(id);
    await closed.close();
  });

  test("a token that is replaced while a request is on its way: the refusal of the old one is no failure", async () => {
    const closed = await server.another({ apiToken: "secret" });
    const id = await createRun(1);
    const replaced = (tokens: readonly string[]) => {
      const left = [...tokens];
      return new SteplogClient({ url: closed.url, token: () => (left.length > 1 ? left.shift() : left[0]) });
    };
    expect(await replaced(["old", "secret"]).fineTune(id)).toMatchObject({ id });
    expect(await read(replaced(["old", "secret"]), id, {}, 1)).toHaveLength(1);
    const wrong = replaced(["one", "another", "a third"]);
    await expect(wrong.fineTune(id)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    await client.cancel(id);
    await closed.close();
  });
});
