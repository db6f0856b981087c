/** A base model whose files change on a worker's disk, from a client of either protocol to the worker and back. */
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { SteplogClient } from "../../client/index.ts";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import { ModelsAtHand } from "../../models/registration.ts";
import { type TestServer, testServer } from "../server/harness.ts";
import { demo } from "./run.ts";
import { startWorker } from "./serving-fixtures.ts";

let server: TestServer;
let hash: string;
beforeAll(async () => {
  server = await testServer();
  const path = join(server.modelsDir, "demo");
  await cp(demo("base"), path, { recursive: true });
  const folder = await openModelFolder(path);
  const { family, contextLength } = folder.architecture;
  hash = await baseHash(folder);
  const size = { parameters: 1, bytes: 1, contextLength };
  await server.store.baseModels.register({ name: "demo", hash, family, dtype: "F32", ...size });
});
afterAll(() => server.dispose());

/** Has a worker that has answered by these files, of which one byte is then another. */
async function workerWithChangedFiles(answer: () => Promise<unknown>): Promise<void> {
  const models = new ModelsAtHand();
  models.add("demo", hash);
  const { stop } = await startWorker(server.store, { modelsDir: server.modelsDir, models });
  onTestFinished(stop);
  await expect.poll(async () => (await server.store.workers.list()).length, { timeout: 20_000 }).toBe(1);
  await answer();
  const weights = join(server.modelsDir, "demo", "model.safetensors");
  const [good, changed] = [await readFile(weights), await readFile(weights)];
  changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
  await writeFile(weights, changed);
  onTestFinished(() => writeFile(weights, good));
}

describe("a base whose files have changed is refused with BASE_MISMATCH, and nothing is left of the request", () => {
  test("by GraphQL", { timeout: 60_000 }, async () => {
    const client = new SteplogClient({ url: server.url });
    const ask = async () => {
      const { id } = await client.createCompletion({ model: { name: "demo" }, prompt: "It was", maxTokens: 2 });
      return { id, last: await last(client.completionPieces(id)) };
    };
    const last = async (pieces: AsyncIterable<unknown>) => {
      for await (const _ of pieces);
    };
    await workerWithChangedFiles(async () => client.deleteCompletion((await ask()).id));
    await expect(ask()).rejects.toMatchObject({
      code: "BASE_MISMATCH",
      message: expect.stringMatching(/demo was registered with the hash .* Put the files back/u) as unknown,
    });
    // The row tells whoever asked why, until it expires.
    expect(await server.queued()).toEqual({ jobs: 0, completions: 1 });
  });

  test("by the OpenAI protocol, as no fault of the client's", { timeout: 60_000 }, async () => {
    const { completions } = await server.queued();
    const openai = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "any", maxRetries: 0 });
    const ask = (stream: boolean) =>
      openai.completions.create({ model: "demo", prompt: "It was", max_tokens: 2, stream });
    await workerWithChangedFiles(() => ask(false));
    await expect(ask(false)).rejects.toMatchObject({ status: 503, code: "base_mismatch", type: "server_error" });
    expect(await server.queued()).toEqual({ jobs: 0, completions });
  });
});
