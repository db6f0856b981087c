/** Completions that are refused: with the field, the reason, and nothing left behind. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { answeringServer, create, named } from "./asking.ts";
import { FakeLane } from "./fake-lane.ts";
import { contextLength, globalId, modelRow, type TestServer } from "./harness.ts";

let server: TestServer;
let lane: FakeLane;
beforeAll(async () => {
  ({ server, lane } = await answeringServer());
});
afterAll(async () => {
  await lane.stop();
  await server.dispose();
});

describe("what is refused leaves nothing in the queue", () => {
  const far = globalId("Checkpoint", "00000000-0000-7000-8000-000000000000");
  test.each<[string, object, string, string | null, string]>([
    ["no prompt", { prompt: undefined }, "INVALID_ARGUMENT", "input.prompt", "exactly one of"],
    ["two prompts", { tokens: [1] }, "INVALID_ARGUMENT", "input.prompt", "exactly one of"],
    ["an empty prompt", { prompt: "" }, "INVALID_ARGUMENT", "input.prompt", "has no tokens"],
    [
      "a prompt beyond the context",
      { prompt: "x".repeat(100) },
      "INVALID_ARGUMENT",
      "input.prompt",
      `room for ${contextLength - 1}`,
    ],
    [
      "an answer beyond the context",
      { maxTokens: 60 },
      "INVALID_ARGUMENT",
      "input.prompt",
      "6 tokens, and 60 tokens may follow",
    ],
    ["no tokens to write", { maxTokens: 0 }, "INVALID_ARGUMENT", "input.maxTokens", ""],
    ["an unknown model", { model: { name: "gpt" } }, "NOT_FOUND", "input.model.name", "There are: "],
    ["an unknown checkpoint", { model: { checkpoint: far } }, "NOT_FOUND", "input.model.checkpoint", "no checkpoint"],
    ["a masked model", { model: { name: "filler" } }, "MODEL_UNSUPPORTED", "input.model", "cannot write"],
    [
      "messages without a template",
      { prompt: undefined, messages: [{ role: "user", content: "a" }] },
      "MODEL_UNSUPPORTED",
      "input.messages",
      "no chat template",
    ],
    [
      "messages that the template refuses",
      { model: { name: "talker" }, prompt: undefined, messages: [{ role: "system", content: "a" }] },
      "INVALID_ARGUMENT",
      "input.messages",
      "no system",
    ],
    [
      "a message without content",
      { prompt: undefined, messages: [{ role: "user" }] },
      "INVALID_ARGUMENT",
      "input.messages.0.content",
      "is missing",
    ],
    ["tools without messages", { tools: "[]" }, "INVALID_ARGUMENT", "input.tools", "give messages"],
    [
      "tools that are no JSON",
      { prompt: undefined, messages: [{ role: "user", content: "a" }], tools: "{" },
      "INVALID_ARGUMENT",
      "input.tools",
      "not JSON",
    ],
    ["no choices", { n: 0 }, "INVALID_ARGUMENT", "input.n", ""],
    ["too many choices", { n: 9 }, "INVALID_ARGUMENT", "input.n", ""],
    ["too many stop texts", { stop: ["a", "b", "c", "d", "e"] }, "INVALID_ARGUMENT", "input.stop", ""],
    ["an empty stop text", { stop: [""] }, "INVALID_ARGUMENT", "input.stop.0", ""],
    ["a long stop text", { stop: ["x".repeat(65)] }, "INVALID_ARGUMENT", "input.stop.0", ""],
    ["a temperature below 0", { temperature: -1 }, "INVALID_ARGUMENT", "input.temperature", ""],
    ["no top-k", { topK: 0 }, "INVALID_ARGUMENT", "input.topK", ""],
    ["no top-p", { topP: 0 }, "INVALID_ARGUMENT", "input.topP", ""],
    ["a min-p above 1", { minP: 1.5 }, "INVALID_ARGUMENT", "input.minP", ""],
    ["no repetition penalty", { repetitionPenalty: 0 }, "INVALID_ARGUMENT", "input.repetitionPenalty", ""],
    ["a seed below 0", { seed: -1 }, "INVALID_ARGUMENT", "input.seed", ""],
    ["too many log-probabilities", { logprobs: 21 }, "INVALID_ARGUMENT", "input.logprobs", ""],
    ["one label", { labels: ["a"] }, "INVALID_ARGUMENT", "input.labels", ""],
    ["a label twice", { labels: ["a", "b", "a"] }, "INVALID_ARGUMENT", "input.labels.2", 'is "a", as the one at 0'],
    [
      "labels and a length",
      { labels: ["a", "b"], maxTokens: 5 },
      "INVALID_ARGUMENT",
      "input.maxTokens",
      "about writing",
    ],
    [
      "a calibration without labels",
      { calibrationPrompt: "a" },
      "INVALID_ARGUMENT",
      "input.calibrationPrompt",
      "give labels",
    ],
  ])("%s", async (_, change, code, field, said) => {
    const before = await server.queued();
    const { errors } = await server.gql(create, { input: { ...named, prompt: "It was", ...change } });
    expect(errors?.[0]?.extensions).toMatchObject({ code, issues: [{ field }] });
    expect(errors?.[0]?.message).toContain(said);
    expect(await server.queued()).toEqual(before);
  });

  test("a model that no worker has, and which are missing; and more than may wait", async () => {
    await lane.stop();
    const before = await server.queued();
    const nobody = await server.gql(create, { input: { ...named, prompt: "a" } });
    expect(nobody.errors?.[0]).toMatchObject({
      message: "No worker is running. Start one: steplog worker.",
      extensions: { code: "UNAVAILABLE" },
    });
    lane = await FakeLane.start(server.store);
    await server.store.baseModels.register(modelRow("elsewhere"));
    const elsewhere = await server.gql(create, { input: { model: { name: "elsewhere" }, tokens: [1] } });
    // This lane claims to have every model that is registered when it reports.
    expect(elsewhere.errors?.[0]).toMatchObject({ extensions: { code: "UNAVAILABLE" } });
    expect(elsewhere.errors?.[0]?.message).toContain("elsewhere");
    const full = await server.another({ completions: { queueLimit: 0, waitS: 60, keepS: 60 } });
    await lane.stop();
    await lane.report();
    const busy = await fetch(`${full.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query: create, variables: { input: { ...named, prompt: "a" } } }),
    });
    expect(await busy.json()).toMatchObject({ errors: [{ extensions: { code: "BUSY" } }] });
    await full.close();
    lane = await FakeLane.start(server.store);
    expect(await server.queued()).toEqual(before);
  });
});
