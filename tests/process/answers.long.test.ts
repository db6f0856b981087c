/** An answer whose worker is killed: another goes on, and the text is the one that nobody disturbed. Real processes. */
import { cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import OpenAI from "openai";
import { expect, onTestFinished, test } from "vitest";
import { samplingSchema } from "../../schema/completion.ts";
import { packagePath } from "../../schema/package.ts";
import { type Store, openStore } from "../../store/store.ts";
import { requestOf, taskOf } from "../store/serving-fixtures.ts";
import { firstTry } from "../support/first-try.ts";
import { randomModel } from "../support/models.ts";
import { type TestService, testService, until } from "./service.ts";

const maxTokens = 600;

test.runIf(process.env["STEPLOG_LONG_TESTS"])(
  "kill -9 of the worker in mid-answer: the text is the same in the end, and no piece is lost or doubled",
  { ...firstTry, timeout: 120_000 },
  async () => {
    const service = await testService();
    await addLong(service, {});
    const first = await service.startWorker({ STEPLOG_SERVE: "inference" });
    const store = await openStore({ databaseUrl: service.env["DATABASE_URL"] ?? "", storageDir: service.folder });
    onTestFinished(() => store.close());

    const id = await ask(store);
    const pieces = async () => (await store.completions.get(id))?.pieces ?? 0;
    await until("some pieces", 30_000, async () => (await pieces()) > 3);
    await first.kill("SIGKILL");
    expect(await store.completions.get(id)).toMatchObject({ status: "RUNNING" });
    const before = await pieces();
    const second = await service.startWorker({ STEPLOG_SERVE: "inference" });
    const disturbed = await answerOf(store, id);
    expect(await pieces()).toBeGreaterThan(before);

    const calm = await answerOf(store, await ask(store));
    expect(disturbed).toEqual(calm);
    expect(calm).toHaveLength(maxTokens);
    expect(await second.kill("SIGTERM")).toBe(0);
  },
);

test.runIf(process.env["STEPLOG_LONG_TESTS"])(
  "kill -9 of the worker while the package openai reads a chat: the stream goes on, with the text that nobody disturbed",
  { ...firstTry, timeout: 120_000 },
  async () => {
    const service = await testService();
    const path = await addLong(service, { vocab_size: 1024 });
    for (const name of ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"])
      await cp(packagePath(`demo/base/${name}`), join(path, name));
    const turns = "{% for message in messages %}{{ message.content }} {% endfor %}";
    await writeFile(join(path, "chat_template.jinja"), turns);
    const first = await service.startWorker({ STEPLOG_SERVE: "inference" });
    const { url, running } = await service.startServer();

    const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
    const asked = {
      model: "long",
      messages: [{ role: "user" as const, content: "The soup was" }],
      max_tokens: maxTokens - 10,
      seed: 3,
      logit_bias: { 63: -100 },
    };
    const usage = { stream: true, stream_options: { include_usage: true } } as const;
    const chunks: OpenAI.ChatCompletionChunk[] = [];
    for await (const chunk of await openai.chat.completions.create({ ...asked, ...usage })) {
      chunks.push(chunk);
      if (chunks.length !== 4) continue;
      await first.kill("SIGKILL");
      await service.startWorker({ STEPLOG_SERVE: "inference" });
    }
    // Some came after the second worker had taken over.
    expect(chunks.length).toBeGreaterThan(6);
    const calm = await openai.chat.completions.create(asked);
    const [choice] = calm.choices;
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("")).toBe(choice?.message.content);
    expect(chunks.flatMap(({ choices }) => choices[0]?.finish_reason ?? [])).toEqual(["length"]);
    expect(chunks.at(-1)?.usage).toMatchObject({ completion_tokens: maxTokens - 10 });
    expect(calm.usage).toEqual(chunks.at(-1)?.usage);
    expect(await running.kill("SIGTERM")).toBe(0);
  },
);

/** The base `long`, of random weights, whose answers take a while; its folder. */
async function addLong(service: TestService, config: object): Promise<string> {
  const sizes = { max_position_embeddings: maxTokens + 10, hidden_size: 32, eos_token_id: 63 };
  const path = join(service.folder, "models", "long");
  await cp(await randomModel("F32", { ...sizes, ...config }), path, { recursive: true });
  return path;
}

async function ask(store: Store): Promise<string> {
  const model = await store.baseModels.getByName("long");
  if (!model) throw new Error("The worker has registered it.");
  const sampling = samplingSchema.parse({ seed: 3, logitBias: [[63, -100]] });
  const task = taskOf({ maxTokens, sampling });
  const kept = { waitMs: 120_000, keepMs: 600_000 };
  const request = { ...(await requestOf(store)), ...kept, baseModelId: model.id, prompt: [3, 4, 5], task };
  return (await store.completions.create(request)).completion.id;
}

async function answerOf(store: Store, id: string): Promise<readonly number[]> {
  for await (const _ of store.feed.pieces(id, { after: 0 }));
  const row = await store.completions.get(id);
  if (row?.status !== "SUCCEEDED") throw new Error(`It is ${row?.status}: ${row?.errorMessage}`);
  const [choice] = await store.completions.choices(row);
  return choice?.tokens ?? [];
}
