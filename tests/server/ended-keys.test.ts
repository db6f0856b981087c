/** What is open under a key ends with it: answers in a stream, downloads and exports, of which no further byte is sent. */
import { Readable } from "node:stream";
import OpenAI from "openai";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { operator } from "../../schema/projects.ts";
import { KeyRing } from "../../server/key-ring.ts";
import { FakeLane } from "./fake-lane.ts";
import { FakeWorker, chatModel, createFineTune, globalId, testServer, type TestServer } from "./harness.ts";

/** More than sockets and streams hold between a gateway and a client that does not read. */
const bytes = 64 * 2 ** 20;

let server: TestServer;
let weights: string;
beforeAll(async () => {
  server = await testServer();
  await createFineTune(server, { steps: 10 });
  const worker = await FakeWorker.claim(server.store);
  await worker.train(10);
  const stored = await server.store.blobs.put(Readable.from([Buffer.alloc(bytes, 7)]));
  const place = { entries: 10, step: 10, chain: worker.chain, weightsDigest: "cd".repeat(32) };
  const weightsFiles = [{ name: "model.safetensors", ...stored }];
  const { id } = await server.store.recordCheckpoint(worker.job, { ...place, weightsFiles });
  await worker.succeed();
  weights = `/checkpoints/${globalId("Checkpoint", id)}/weights.safetensors`;
});
afterAll(() => server.dispose());

const administration = () => server.store.of(operator).administration;

async function newKey() {
  const scopes = ["read", "infer", "admin"] as const;
  const made = await administration().createKey({ name: "k", scopes, expiresInS: null, projectId: operator.projectId });
  return { key: made.key, revoke: () => administration().revokeKey(made.apiKey.id) };
}

test.each([
  ["a download", () => weights, {}],
  ["a part of a download", () => weights, { range: "bytes=1-" }],
  ["the export of a project", () => `/projects/${globalId("Project", operator.projectId)}/export`, {}],
])("%s breaks off when its key is revoked", async (_what, path, headers) => {
  const { key, revoke } = await newKey();
  const ask = () => fetch(`${server.url}${path()}`, { headers: { ...headers, authorization: `Bearer ${key}` } });
  const answer = await ask();
  expect(answer.ok).toBe(true);
  const reader = answer.body?.getReader();
  let read = (await reader?.read())?.value?.byteLength ?? 0;
  await revoke();
  // The gateway hears of it by news.
  await expect.poll(async () => (await ask()).status, { timeout: 4_000 }).toBe(401);
  const rest = async () => {
    for (;;) {
      const { value, done } = (await reader?.read()) ?? { done: true };
      if (done) return "whole";
      read += value?.byteLength ?? 0;
    }
  };
  expect(await rest().catch(() => "broken off")).toBe("broken off");
  expect(read).toBeGreaterThan(0);
  expect(read).toBeLessThan(bytes / 2);
});

test("an OpenAI stream ends when its key is revoked, and its answer is not written to the end", async () => {
  await chatModel(server, "talker");
  const lane = await FakeLane.start(server.store);
  onTestFinished(() => lane.stop());
  const { key, revoke } = await newKey();
  let release = () => {};
  lane.next({ texts: [" a", " b", " c"], hold: new Promise((resolve) => (release = resolve)) });
  const openai = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: key, maxRetries: 0 });
  const asked = { model: "talker", messages: [{ role: "user" as const, content: "Hi" }] };
  const stream = await openai.chat.completions.create({ ...asked, stream: true });
  const said: string[] = [];
  let request = "";
  const reading = (async () => {
    for await (const { id, choices } of stream) {
      request = id.slice("chatcmpl-".length);
      said.push(choices[0]?.delta.content ?? "");
    }
    return "whole";
  })().catch(() => "broken off");
  await expect.poll(() => said).toEqual(["", " a"]);
  await revoke();
  expect(await reading).toBe("broken off");
  await expect.poll(async () => (await server.store.completions.get(request))?.wanted).not.toBe("RUN");
  release();
  await expect.poll(() => lane.cancelled).toHaveLength(1);
  expect(said).toEqual(["", " a"]);
  await expect(openai.chat.completions.create(asked)).rejects.toMatchObject({ status: 401 });
});

describe("a gateway", () => {
  test("ends what opens in the moment after its key has ended, too", async () => {
    const { key, revoke } = await newKey();
    const ring = new KeyRing(server.store.keys, pino({ level: "silent" }));
    expect(await ring.viewerOf(key)).not.toBeNull();
    await revoke();
    await expect.poll(() => ring.viewerOf(key), { timeout: 4_000 }).toBeNull();
    // Its request was let in before.
    const ended = new Promise<string>((resolve) => ring.onEnd(key, () => resolve("ended")));
    expect(await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 1_000, "open"))])).toBe("ended");
    ring.close();
  });
});
