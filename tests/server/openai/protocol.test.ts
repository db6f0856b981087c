/** The OpenAI protocol, by its own client, against a server whose worker's part is played through the store. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import OpenAI from "openai";
import { SteplogClient } from "../../../client/index.ts";
import { samplingSchema } from "../../../schema/completion.ts";
import { operator } from "../../../schema/projects.ts";
import { everything } from "../../support/claims.ts";
import { askAs } from "../everything.ts";
import { FakeLane } from "../fake-lane.ts";
import {
  chatModel,
  contextLength,
  FakeWorker,
  globalId,
  modelRow,
  rowId,
  testServer,
  type TestServer,
} from "../harness.ts";

let server: TestServer;
let lane: FakeLane;
let openai: OpenAI;
beforeAll(async () => {
  server = await testServer({ apiToken: "secret" });
  await chatModel(server, "talker");
  await server.store.baseModels.register({ ...modelRow("filler"), family: "roberta" });
  lane = await FakeLane.start(server.store);
  openai = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "secret", maxRetries: 0 });
});
afterEach(() => lane.next());
afterAll(async () => {
  await lane.stop();
  await server.dispose();
});

const hello = { model: "talker", messages: [{ role: "user" as const, content: "Hi" }] };
const idle = { jobs: 0, completions: 0 };

/** A value of its own for each field that both requests have, and what a worker is asked for then. */
const chosen = {
  temperature: 0.9,
  top_p: 0.8,
  top_k: 11,
  min_p: 0.02,
  repetition_penalty: 1.3,
  presence_penalty: -0.4,
  frequency_penalty: 0.7,
  logit_bias: { 65: 1.5, 66: -100 },
  seed: 2 ** 40,
  n: 3,
  stop: ["x", "yz"],
};
const chosenTask = {
  kind: "GENERATE",
  n: 3,
  stop: ["x", "yz"],
  sampling: {
    temperature: 0.9,
    topP: 0.8,
    topK: 11,
    minP: 0.02,
    repetitionPenalty: 1.3,
    presencePenalty: -0.4,
    frequencyPenalty: 0.7,
    logitBias: [
      [65, 1.5],
      [66, -100],
    ],
    seed: 2 ** 40,
  },
};

test("requests ask a worker for all that their fields say", async () => {
  // The name that older clients send.
  const most = { max_tokens: 6 };
  await openai.chat.completions.create({ ...hello, ...chosen, ...most, logprobs: true, top_logprobs: 7 });
  expect(lane.tasks.at(-1)).toStrictEqual({ ...chosenTask, maxTokens: 6, logprobs: 7 });
  await openai.chat.completions.create({ ...hello, ...chosen, max_completion_tokens: 7, stop: "x" });
  expect(lane.tasks.at(-1)).toStrictEqual({ ...chosenTask, stop: ["x"], maxTokens: 7, logprobs: null });
  await openai.completions.create({ model: "bytes", prompt: "a", ...chosen, max_tokens: 8, logprobs: 4 });
  expect(lane.tasks.at(-1)).toStrictEqual({ ...chosenTask, maxTokens: 8, logprobs: 4 });
  await openai.completions.create({ model: "bytes", prompt: "a", ...chosen, seed: -1, best_of: 3 });
  const { sampling } = chosenTask;
  const unless = { ...chosenTask, maxTokens: 16, logprobs: null };
  expect(lane.tasks.at(-1)).toStrictEqual({ ...unless, sampling: { ...sampling, seed: 2 ** 53 - 1 } });
  // A field of the sampling that is new is to be sent, too.
  expect(Object.keys(sampling).toSorted()).toEqual(Object.keys(samplingSchema.shape).toSorted());
});

describe("chat completions", () => {
  test("answer whole, with usage and fingerprint, and leave nothing behind", async () => {
    lane.next({ texts: [" go", "od"] });
    const answer = await openai.chat.completions.create({ ...hello, n: 2, logprobs: true, top_logprobs: 1 });
    expect(answer).toMatchObject({
      id: expect.stringMatching(/^chatcmpl-[0-9a-f-]{36}$/u) as unknown,
      object: "chat.completion",
      model: "talker",
      system_fingerprint: expect.stringMatching(/^fp_[0-9a-f]{12}$/u) as unknown,
      choices: [
        { index: 0, message: { role: "assistant", content: " good", refusal: null }, finish_reason: "stop" },
        { index: 1, message: { content: " good" } },
      ],
      usage: { prompt_tokens: 20, completion_tokens: 10, total_tokens: 30 },
    });
    expect(answer.choices[0]?.logprobs?.content?.map(({ token }) => token).join("")).toBe(" good");
    expect(lane.prompts.at(-1)).toBe("user: Hi\nassistant: ");
    expect(await server.queued()).toEqual(idle);
  });

  test("stream, with the usage last", async () => {
    lane.next({ texts: [" go", "od"] });
    const stream = await openai.chat.completions.create({
      ...hello,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks: OpenAI.ChatCompletionChunk[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks.map(({ choices }) => choices[0]?.delta.content)).toEqual(["", " go", "od", undefined, undefined]);
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe("stop");
    expect(chunks.at(-1)?.usage).toMatchObject({ completion_tokens: 5 });
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
    expect(await server.queued()).toEqual(idle);
  });

  test("call tools that the template writes", async () => {
    const called = '<tool_call>{"name":"f"}</tool_call>';
    const tools = [{ type: "function" as const, function: { name: "f", parameters: {} } }];
    lane.next({ texts: ["So. ", called.slice(0, 20), called.slice(20)] }, { texts: [called] });
    const stream = openai.chat.completions.stream({ ...hello, tools });
    const message = await stream.finalMessage();
    expect(lane.prompts.at(-1)).toBe("[f]user: Hi\nassistant: ");
    expect(message).toMatchObject({
      content: "So.",
      tool_calls: [{ type: "function", function: { name: "f", arguments: "{}" } }],
    });
    const { choices } = await openai.chat.completions.create({ ...hello, tools });
    expect(choices[0]).toMatchObject({ finish_reason: "tool_calls", message: { content: null } });
    // What the client sends back has calls and an answer, which this template writes no words for.
    const answered = [...hello.messages, message, { role: "tool" as const, tool_call_id: "1", content: "{}" }];
    await expect(openai.chat.completions.create({ ...hello, messages: answered, tools })).rejects.toMatchObject({
      status: 400,
      param: "messages[1].tool_calls",
    });
    expect(await server.queued()).toEqual(idle);
  });

  test("end when the client leaves", async () => {
    let release = () => {};
    lane.next({ texts: [" a", " b", " c"], hold: new Promise((resolve) => (release = resolve)) });
    const stream = await openai.chat.completions.create({ ...hello, stream: true });
    for await (const { choices } of stream) if (choices[0]?.delta.content === " a") break;
    while ((await server.queued()).completions > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    release();
    while (lane.cancelled.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await server.queued()).toEqual(idle);
  });

  test("that break off say so in the stream, and before it by their status", async () => {
    lane.next({ fails: { code: "BASE_MISMATCH", message: "The files of talker have changed." } });
    const first = openai.chat.completions.create({ ...hello, stream: true });
    await expect(first).rejects.toMatchObject({ status: 503, code: "base_mismatch", type: "server_error" });
    lane.next({ fails: { code: "NOT_FOUND", message: "There is no folder." } });
    const gone = openai.chat.completions.create(hello);
    await expect(gone).rejects.toMatchObject({ status: 503, code: "not_found", type: "server_error" });
    lane.next({ fails: { code: "MODEL_UNSUPPORTED", message: "It has no such thing." } });
    const unsupported = openai.chat.completions.create(hello);
    await expect(unsupported).rejects.toMatchObject({ status: 400, code: "model_unsupported" });
    lane.next({ texts: [" a", " b"], breaks: { code: "OUT_OF_MEMORY", message: "No memory is left." } });
    const stream = await openai.chat.completions.create({ ...hello, stream: true });
    const reading = (async () => {
      for await (const chunk of stream) expect(chunk.object).toBe("chat.completion.chunk");
    })();
    await expect(reading).rejects.toMatchObject({ message: expect.stringContaining("No memory is left.") as unknown });
    expect(await server.queued()).toEqual(idle);
  });

  test("are cut off when the server closes", async () => {
    const other = await server.another();
    lane.next({ texts: [" a", " b"], hold: new Promise((resolve) => setTimeout(resolve, 200)) });
    const client = new OpenAI({ baseURL: `${other.url}/v1`, apiKey: "secret", maxRetries: 0 });
    const stream = await client.chat.completions.create({ ...hello, stream: true });
    const closing = performance.now();
    await other.close();
    // Longer would be the time that it gives to requests that end by themselves.
    expect(performance.now() - closing).toBeLessThan(2_000);
    await expect(
      (async () => {
        for await (const chunk of stream) expect(chunk).toBeDefined();
      })(),
    ).rejects.toThrow(/terminated|aborted|closed/u);
    while ((await server.queued()).completions > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });
});

describe("a stored chat completion", () => {
  const tools = [{ type: "function" as const, function: { name: "f", parameters: {} } }];
  const none = { status: 404, code: "not_found", param: "completion_id", type: "invalid_request_error" };

  test("is read again as it was answered, with its calls, until it is deleted", async () => {
    lane.next({ texts: [" go", "od"] }, { texts: ["So. ", '<tool_call>{"name":"f"}</tool_call>'] });
    const plain = { ...hello, store: true, n: 2, logprobs: true, top_logprobs: 1 };
    const answered = [
      await openai.chat.completions.create(plain),
      await openai.chat.completions.create({ ...hello, store: true, tools }),
    ];
    expect(answered[1]?.choices[0]?.message).toMatchObject({ content: "So.", tool_calls: [{ type: "function" }] });
    for (const { created, ...answer } of answered) {
      const again = await openai.chat.completions.retrieve(answer.id);
      expect(again).toEqual({ ...answer, created: expect.closeTo(created, -1) as unknown });
      const { id } = answer;
      expect(await openai.chat.completions.delete(id)).toEqual({
        id,
        object: "chat.completion.deleted",
        deleted: true,
      });
      await expect(openai.chat.completions.retrieve(id)).rejects.toMatchObject(none);
      await expect(openai.chat.completions.delete(id)).rejects.toMatchObject(none);
    }
    const told = await askAs(
      server,
      "secret",
    )<{ auditLog: { nodes: { action: string }[] } }>("{ auditLog(first: 10) { nodes { action } } }");
    expect(told.auditLog.nodes.map(({ action }) => action)).toEqual(["completion.deleted", "completion.deleted"]);
    expect(await server.queued()).toEqual(idle);
  });

  test("has the name of an alias, or of a checkpoint, by which it can be asked again", async () => {
    await server.store.aliases.set("support", {
      baseModelId: (await server.store.baseModels.getByName("talker"))?.id ?? "",
      checkpointId: null,
    });
    const { id, model } = await openai.chat.completions.create({ ...hello, model: "support", store: true });
    expect(model).toBe("support");
    expect(await openai.chat.completions.retrieve(id)).toMatchObject({ model, choices: [{ finish_reason: "stop" }] });
    await openai.chat.completions.delete(id);
    await server.store.aliases.remove("support");
  });

  test("is what no other request leaves: not one without store, one of GraphQL, or one that is not there", async () => {
    const { id } = await openai.chat.completions.create(hello);
    const client = new SteplogClient({ url: server.url, token: "secret" });
    const own = await client.createCompletion({ model: { name: "bytes" }, prompt: "a" });
    for await (const _ of client.completionPieces(own.id));
    const row = rowId(own.id);
    for (const other of [id, `chatcmpl-${row}`, row, own.id, "chatcmpl-", "chatcmpl-x", `cmpl-${row}`]) {
      await expect(openai.chat.completions.retrieve(other)).rejects.toMatchObject(none);
      await expect(openai.chat.completions.delete(other)).rejects.toMatchObject(none);
    }
    expect(await client.deleteCompletion(own.id)).toBe(true);
  });

  test("that is still written is not there yet", async () => {
    let release = () => {};
    lane.next({ texts: [" a", " b"], hold: new Promise((resolve) => (release = resolve)) });
    const stream = await openai.chat.completions.create({ ...hello, store: true, stream: true });
    let id = "";
    for await (const chunk of stream) {
      if (id === "") await expect(openai.chat.completions.delete(chunk.id)).rejects.toMatchObject(none);
      id = chunk.id;
      release();
    }
    expect(await openai.chat.completions.retrieve(id)).toMatchObject({ choices: [{ message: { content: " a b" } }] });
    await openai.chat.completions.delete(id);
  });

  test("is deleted by a key that may ask, and not by one that may only read", async () => {
    const { administration } = server.store.of(operator);
    const by = async (scope: "read" | "infer") => {
      const { key } = await administration.createKey({ name: scope, scopes: [scope], expiresInS: null });
      return new OpenAI({ baseURL: `${server.url}/v1`, apiKey: key, maxRetries: 0 }).chat.completions;
    };
    const [reads, infers] = [await by("read"), await by("infer")];
    const { id } = await openai.chat.completions.create({ ...hello, store: true });
    expect(await reads.retrieve(id)).toMatchObject({ id });
    await expect(reads.delete(id)).rejects.toMatchObject({ status: 403, code: "insufficient_permissions" });
    expect(await infers.retrieve(id)).toMatchObject({ id });
    expect(await infers.delete(id)).toMatchObject({ deleted: true });
  });
});

describe("completions", () => {
  test("answer a list of prompts, each n times, whole and streamed", async () => {
    const asked = { model: "bytes", prompt: ["One", "Two"], n: 2, max_tokens: 3 };
    const answer = await openai.completions.create(asked);
    expect(answer.choices.map(({ index, text, finish_reason: reason }) => [index, text, reason])).toEqual(
      [0, 1, 2, 3].map((index) => [index, " go", "length"]),
    );
    expect(answer.usage).toMatchObject({ prompt_tokens: 6, completion_tokens: 12 });
    const texts = ["", "", "", ""];
    for await (const { choices } of await openai.completions.create({ ...asked, stream: true, echo: true }))
      for (const { index, text } of choices) texts[index] += text;
    expect(texts).toEqual(["One go", "One go", "Two go", "Two go"]);
    expect(await server.queued()).toEqual(idle);
  });

  test("score a prompt that is echoed, as programs that evaluate models ask for it", async () => {
    const { choices, usage } = await openai.completions.create({
      model: "bytes",
      prompt: [...Buffer.from("aaba")],
      echo: true,
      logprobs: 0,
      max_tokens: 0,
    });
    expect(choices).toMatchObject([
      {
        text: "aaba",
        finish_reason: "length",
        logprobs: { tokens: ["a", "a", "b", "a"], token_logprobs: [null, -0.5, -1, -0.5], text_offset: [0, 1, 2, 3] },
      },
    ]);
    expect(usage).toMatchObject({ prompt_tokens: 4, completion_tokens: 0 });
    const written = await openai.completions.create({
      model: "bytes",
      prompt: "ab",
      echo: true,
      logprobs: 1,
      max_tokens: 2,
    });
    expect(written.choices[0]).toMatchObject({ text: "ab g", logprobs: { tokens: ["a", "b", " ", "g"] } });
    expect(await server.queued()).toEqual(idle);
  });
});

describe("what is refused leaves nothing behind", () => {
  test.each<[string, object, number, string, string | null]>([
    ["an unknown model", { model: "gpt-4o" }, 404, "model_not_found", "model"],
    ["an unknown field", { max_token: 4 }, 400, "unknown_parameter", "max_token"],
    ["a field that is not supported", { reasoning_effort: "low" }, 400, "unsupported_parameter", "reasoning_effort"],
    ["a format", { response_format: { type: "json_object" } }, 400, "invalid_value", "response_format.type"],
    [
      "a prompt beyond the context",
      { messages: [{ role: "user", content: "x".repeat(99) }] },
      400,
      "context_length_exceeded",
      "messages",
    ],
    ["an answer beyond the context", { max_tokens: contextLength }, 400, "context_length_exceeded", "messages"],
    ["a template that refuses", { messages: [{ role: "system", content: "x" }] }, 400, "invalid_argument", "messages"],
    ["no template", { model: "bytes" }, 400, "model_unsupported", "messages"],
    ["a masked model", { model: "filler" }, 400, "model_unsupported", "model"],
    ["n out of range", { n: 9 }, 400, "invalid_value", "n"],
    ["too many stop texts", { stop: ["1", "2", "3", "4", "5"] }, 400, "invalid_value", "stop"],
    ["a token that there is not", { logit_bias: { 999999: 1 } }, 400, "invalid_argument", "logit_bias"],
  ])("%s", async (_, change, status, code, param) => {
    const refused = openai.chat.completions.create({ ...hello, ...change });
    await expect(refused).rejects.toMatchObject({ status, code, param, type: "invalid_request_error" });
    expect(await server.queued()).toEqual(idle);
  });

  test("a wrong token, an unknown path, no worker, and more than may wait", async () => {
    const stranger = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "wrong", maxRetries: 0 });
    await expect(stranger.models.list()).rejects.toMatchObject({ status: 401, code: "invalid_api_key" });
    await expect(openai.embeddings.create({ model: "bytes", input: "a" })).rejects.toMatchObject({
      status: 404,
      code: "unknown_url",
    });
    await lane.stop();
    await expect(openai.chat.completions.create(hello)).rejects.toMatchObject({
      status: 503,
      code: "unavailable",
      headers: expect.objectContaining({}) as unknown,
      message: expect.stringContaining("No worker is running") as unknown,
    });
    await lane.report();
    const full = await server.another({ completions: { queueLimit: 0, waitS: 60, keepS: 60 } });
    const busy = new OpenAI({ baseURL: `${full.url}/v1`, apiKey: "secret", maxRetries: 0 });
    await expect(busy.chat.completions.create(hello)).rejects.toMatchObject({ status: 429, type: "rate_limit_error" });
    await full.close();
    lane = await FakeLane.start(server.store);
    expect(await server.queued()).toEqual(idle);
  });
});

test("no worker that can serve a model: what the live ones lack is named, with the status 503", async () => {
  await lane.stop();
  const { store } = server;
  // One that reported itself without a lane lives on for a while.
  for (const { id } of await store.workers.list()) await store.workers.remove(id);
  const can = await everything(store);
  const report = async (id: string, change: object, memoryBytes = 1e12) => {
    const serving = { memoryBytes, places: 1, precision: "float32", warm: [], usedBytes: 0, requests: 0 };
    await store.workers.report({ ...can, id, name: "poor", device: "plain", version: "1", serving, ...change });
  };
  const refused = async (message: RegExp) => {
    await expect(openai.completions.create({ model: "bytes", prompt: "a" })).rejects.toMatchObject({
      status: 503,
      code: "unavailable",
      type: "server_error",
      message: expect.stringMatching(message) as unknown,
    });
    expect(await server.queued()).toEqual(idle);
  };
  const id = crypto.randomUUID();
  await report(id, { models: can.models.filter(({ name }) => name !== "bytes") });
  await refused(/base model bytes/u);
  await report(id, {}, 1_000_000);
  await refused(/needs \d+\.\d GB of memory; .* gives to requests is 1\.0 MB/u);
  await report(id, { kinds: ["FINE_TUNE"] });
  await refused(/steplog worker --serve/u);
  await store.workers.remove(id);
  lane = await FakeLane.start(store);
});

describe("a raw stream", () => {
  const raw = async (change: object = {}) => {
    const response = await fetch(`${server.url}/v1/completions`, {
      method: "POST",
      headers: { authorization: "Bearer secret", "content-type": "application/json" },
      body: JSON.stringify({ model: "bytes", prompt: "a", stream: true, ...change }),
    });
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    const lines = (await response.text()).split("\n\n");
    expect(lines.pop()).toBe("");
    return lines.map((line) => line.replace(/^data: /u, ""));
  };

  test("ends with [DONE], and with an error instead where it breaks off", async () => {
    lane.next(
      { texts: [" a", " b"] },
      { texts: [" a", " b"], breaks: { code: "OUT_OF_MEMORY", message: "None left." } },
    );
    const whole = await raw();
    expect(whole.at(-1)).toBe("[DONE]");
    expect(whole.filter((line) => line === "[DONE]")).toHaveLength(1);
    const broken = await raw();
    expect(broken).not.toContain("[DONE]");
    expect(JSON.parse(broken.at(-1) ?? "")).toMatchObject({ error: { code: "out_of_memory", message: "None left." } });
    expect(broken.length).toBeGreaterThan(1);
    expect(await server.queued()).toEqual(idle);
  });

  test("of completions tells the usage last, if it is to", async () => {
    const usageOf = (line: string) => (JSON.parse(line) as { usage?: object | null }).usage;
    const told = (await raw({ stream_options: { include_usage: true }, prompt: ["One", "Two"] })).slice(0, -1);
    expect(told.slice(0, -1).map(usageOf)).toEqual(told.slice(1).map(() => null));
    const usage = { prompt_tokens: 6, completion_tokens: 10, total_tokens: 16 };
    expect(JSON.parse(told.at(-1) ?? "")).toMatchObject({ object: "text_completion", choices: [], usage });
    for (const line of (await raw()).slice(0, -1)) expect(usageOf(line)).toBeUndefined();
  });
});

test("models are those that can write, each also by itself", async () => {
  const names: string[] = [];
  for await (const { id } of openai.models.list()) names.push(id);
  expect(names.toSorted()).toEqual(["bytes", "talker"]);
  expect(await openai.models.retrieve("bytes")).toMatchObject({ id: "bytes", object: "model", owned_by: "steplog" });
  await expect(openai.models.retrieve("none")).rejects.toMatchObject({ status: 404, code: "model_not_found" });
});

test("models of runs are listed by checkpoint, in pages if asked, and every name answers by itself", async () => {
  const baseModelId = server.model.id;
  const client = new SteplogClient({ url: server.url, token: "secret" });
  const rows = [{ prompt: "It is", completion: " good" }];
  const { id: dataset } = await client.createDataset({ name: "rows", rows });
  const { id: run } = await client.createFineTune({ name: "r", baseModel: "bytes", dataset });
  const worker = await FakeWorker.claim(server.store);
  await worker.train(4);
  const { id: checkpointId } = await worker.checkpoint();
  await worker.succeed();
  const checkpoint = globalId("Checkpoint", checkpointId);
  await server.store.aliases.set("support", { baseModelId, checkpointId });
  const page = async (query: object) => {
    const { data, ...rest } = await openai.models.list({ query });
    return { ids: data.map(({ id }) => id), more: (rest as unknown as { body: { has_more: boolean } }).body.has_more };
  };
  const all = ["support", "talker", "bytes", checkpoint];
  expect(await page({})).toEqual({ ids: all, more: false });
  expect(await page({ limit: 2 })).toEqual({ ids: all.slice(0, 2), more: true });
  expect(await page({ limit: 2, after: "talker" })).toEqual({ ids: all.slice(2), more: false });
  expect(await page({ after: checkpoint })).toEqual({ ids: [], more: false });
  await expect(page({ limit: 0 })).rejects.toMatchObject({ status: 400, code: "invalid_value", param: "limit" });
  await expect(page({ after: "none" })).rejects.toMatchObject({ status: 404, param: "after" });
  for (const name of [...all, run]) expect(await openai.models.retrieve(name)).toMatchObject({ id: name });
  await server.store.aliases.remove("support");
});

test("nothing that anybody wrote is in a log line", async () => {
  const marker = "xylophone";
  await openai.chat.completions.create({ ...hello, messages: [{ role: "user", content: marker }], stop: [marker] });
  await openai.chat.completions.create({ ...hello, model: marker }).catch(() => {});
  await openai.chat.completions.create({ ...hello, [marker]: marker } as typeof hello).catch(() => {});
  await fetch(`${server.url}/v1/${marker}`).catch(() => {});
  expect(server.logged.length).toBeGreaterThan(0);
  expect(server.logged.filter((line) => line.includes(marker))).toEqual([]);
});

test("a page of another origin may send the headers of the client where the origin is listed", async () => {
  const listed = await server.another({ corsOrigins: ["https://app.example.org"] });
  const preflight = await fetch(`${listed.url}/v1/chat/completions`, {
    method: "OPTIONS",
    headers: {
      origin: "https://app.example.org",
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization, x-stainless-lang, x-other",
    },
  });
  expect(preflight.headers.get("access-control-allow-methods")).toBe("GET, HEAD, POST, DELETE");
  expect(preflight.headers.get("access-control-allow-headers")).toMatch(/x-stainless-lang/u);
  expect(preflight.headers.get("access-control-allow-headers")).not.toMatch(/x-other/u);
  await listed.close();
});
