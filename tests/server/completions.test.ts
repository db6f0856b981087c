/** Completions by GraphQL: what is asked, how it arrives, and what is refused with nothing left behind. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { SteplogClient } from "../../client/index.ts";
import { claimAny } from "../support/claims.ts";
import { steplogHere } from "../support/command.ts";
import { FakeLane, scoreOf } from "./fake-lane.ts";
import {
  chatModel,
  collect,
  contextLength,
  createDataset,
  createFineTune,
  FakeWorker,
  globalId,
  modelRow,
  rowId,
  testServer,
  wsClient,
  type TestServer,
} from "./harness.ts";

let server: TestServer;
let lane: FakeLane;
beforeAll(async () => {
  server = await testServer();
  await chatModel(server, "talker");
  await server.store.baseModels.register({ ...modelRow("filler"), family: "roberta" });
  lane = await FakeLane.start(server.store);
});
afterEach(() => lane.next());
afterAll(async () => {
  await lane.stop();
  await server.dispose();
});

const create = `mutation ($input: CreateCompletionInput!) {
  createCompletion(input: $input) { created completion { id status seed alias baseModel { name } } } }`;
const read = `query ($id: ID!) { completion(id: $id) {
  status label labelScores { label score tokens } choices { index text tokens finishReason logprobs { text logProbability top { text } } }
  usage { promptTokens completionTokens } seed device error { code message } waitingReason } }`;
const pieces = `subscription ($id: ID!, $after: Int) { completionPieces(id: $id, after: $after) {
  cursor piece { choice text firstToken tokens finishReason } } }`;

interface Created {
  readonly createCompletion: { created: boolean; completion: { id: string; status: string; seed: number | null } };
}
interface Piece {
  readonly completionPieces: { cursor: number; piece: { choice: number; text: string; finishReason: string | null } };
}

const named = { model: { name: "bytes" } };

async function created(input: object): Promise<Created["createCompletion"]> {
  return (await server.ask<Created>(create, { input: { ...named, prompt: "It was", ...input } })).createCompletion;
}

async function piecesOf(id: string, after = 0): Promise<Piece["completionPieces"][]> {
  const client = wsClient(server);
  const got = await collect<Piece>(client, pieces, { id, after });
  await client.dispose();
  return got.map(({ completionPieces }) => completionPieces);
}

describe("a completion", () => {
  test("is written piece by piece, to whoever subscribes, from any cursor", async () => {
    lane.next({ texts: [" go", "od", "!"] });
    const { completion, created: isNew } = await created({ seed: 5, n: 2, maxTokens: 20 });
    expect({ isNew, seed: completion.seed }).toEqual({ isNew: true, seed: 5 });
    const all = await piecesOf(completion.id);
    expect(all.map(({ cursor }) => cursor)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(all.filter(({ piece }) => piece.choice === 1).map(({ piece }) => piece.text)).toEqual([" go", "od", "!"]);
    expect((await piecesOf(completion.id, 4)).map(({ cursor }) => cursor)).toEqual([5, 6]);
    const { completion: whole } = await server.ask<{ completion: object }>(read, { id: completion.id });
    const choice = { text: " good!", tokens: [...Buffer.from(" good!")], finishReason: "END", logprobs: null };
    expect(whole).toMatchObject({
      status: "SUCCEEDED",
      choices: [
        { index: 0, ...choice },
        { index: 1, ...choice },
      ],
      usage: { promptTokens: 6, completionTokens: 12 },
      device: "plain",
      error: null,
      label: null,
    });
    expect(lane.prompts.at(-1)).toBe("It was");
  });

  test("gives log-probabilities if they are asked for, and a seed if none is given", async () => {
    const { completion } = await created({ logprobs: 2, maxTokens: 2 });
    await piecesOf(completion.id);
    const { completion: whole } = await server.ask<{ completion: object }>(read, { id: completion.id });
    expect(whole).toMatchObject({
      seed: expect.any(Number) as unknown,
      choices: [
        {
          text: " g",
          finishReason: "LENGTH",
          logprobs: [
            { text: " ", logProbability: -0.5, top: [{}, {}] },
            { text: "g", logProbability: -0.5, top: [{}, {}] },
          ],
        },
      ],
    });
  });

  test("of messages is asked by the chat template", async () => {
    const messages = [{ role: "user", content: "Hi" }];
    const { completion } = await created({ model: { name: "talker" }, prompt: undefined, messages });
    await piecesOf(completion.id);
    expect(lane.prompts.at(-1)).toBe("user: Hi\nassistant: ");
  });

  test("chooses among labels by their mean log-probability", async () => {
    const { completion } = await created({ prompt: "gggg", labels: ["bad", "gg"], calibrationPrompt: "b" });
    expect(await piecesOf(completion.id)).toEqual([]);
    const { completion: whole } = await server.ask<{ completion: object }>(read, { id: completion.id });
    const mean = (prompt: string, label: string) => {
      const tokens = scoreOf([...Buffer.from(prompt)], [...Buffer.from(label)]);
      return tokens.reduce((sum, { logprob }) => sum + logprob, 0) / tokens.length;
    };
    const score = (label: string) => expect.closeTo(mean("gggg", label) - mean("b", label), 9) as unknown;
    expect(whole).toMatchObject({
      label: "gg",
      labelScores: [
        { label: "bad", score: score("bad"), tokens: 3 },
        { label: "gg", score: score("gg"), tokens: 2 },
      ],
      choices: [],
      seed: null,
    });
  });

  test("of an idempotency key is created once, also with a drawn seed and without a worker", async () => {
    const input = { idempotencyKey: "once", temperature: 0.5 };
    const first = await created(input);
    await piecesOf(first.completion.id);
    await lane.stop();
    const again = await created(input);
    expect(again).toMatchObject({
      created: false,
      completion: { id: first.completion.id, seed: first.completion.seed },
    });
    lane = await FakeLane.start(server.store);
    const { errors } = await server.gql(create, { input: { ...named, ...input, prompt: "It is" } });
    expect(errors?.[0]?.extensions.code).toBe("CONFLICT");
  });

  test("ends when it is cancelled, and is gone when it is deleted", async () => {
    let release = () => {};
    lane.next({ texts: [" a", " b", " c"], hold: new Promise((resolve) => (release = resolve)) });
    const { completion } = await created({});
    const { id } = completion;
    const client = wsClient(server);
    await collect<Piece>(client, pieces, { id, after: 0 }, 1);
    const cancel = "mutation ($id: ID!) { cancelCompletion(id: $id) { status } }";
    await server.ask(cancel, { id });
    release();
    await piecesOf(id);
    const { completion: whole } = await server.ask<{ completion: object }>(read, { id });
    expect(whole).toMatchObject({ status: "CANCELLED", choices: [{ finishReason: "CANCELLED" }] });
    expect(await server.ask(cancel, { id })).toEqual({ cancelCompletion: { status: "CANCELLED" } });
    const remove = "mutation ($id: ID!) { deleteCompletion(id: $id) }";
    expect(await server.ask(remove, { id })).toEqual({ deleteCompletion: true });
    expect(await server.ask(remove, { id })).toEqual({ deleteCompletion: false });
    expect(await server.ask(read, { id })).toEqual({ completion: null });
    expect(await server.store.completions.get(rowId(id))).toBeNull();
    await client.dispose();
  });

  test("that fails ends its stream with its error", async () => {
    lane.next({ fails: { code: "BASE_MISMATCH", message: "The files of bytes have changed." } });
    const { completion } = await created({});
    await expect(piecesOf(completion.id)).rejects.toMatchObject([{ extensions: { code: "BASE_MISMATCH" } }]);
    const { completion: whole } = await server.ask<{ completion: object }>(read, { id: completion.id });
    expect(whole).toMatchObject({ status: "FAILED", error: { code: "BASE_MISMATCH" } });
  });
});

describe("answers that come with the request", () => {
  const classify = "mutation ($input: ClassifyInput!) { classify(input: $input) { label scores { label tokens } } }";
  const score = "mutation ($input: ScoreInput!) { score(input: $input) { logProbability tokens { text } } }";

  test("a label for each text, and scores of given texts; nothing is kept", async () => {
    const before = await server.queued();
    const labels = ["a", "bb"];
    const input = { ...named, prompts: ["aaa", "bbb"], labels };
    const { classify: classes } = await server.ask<{ classify: { label: string }[] }>(classify, { input });
    expect(classes.map(({ label }) => label)).toEqual(labels);
    const messages = [{ role: "user", content: "bbb" }];
    const talked = await server.ask(classify, { input: { model: { name: "talker" }, messages, labels } });
    expect(talked).toMatchObject({ classify: [{ scores: [{ tokens: 1 }, { tokens: 2 }] }] });
    const rows = [
      { prompt: "aa", completion: "ab" },
      { prompt: "b", completion: "b" },
    ];
    expect(await server.ask(score, { input: { ...named, rows } })).toMatchObject({
      score: [
        { logProbability: expect.closeTo(-1 / 3 - 1, 9) as unknown, tokens: [{ text: "a" }, { text: "b" }] },
        { logProbability: -0.5 },
      ],
    });
    expect(await server.queued()).toEqual(before);
  });

  test.each([
    [
      "an empty completion",
      score,
      { rows: [{ prompt: "a", completion: "" }] },
      "INVALID_ARGUMENT",
      "input.rows.0.completion",
    ],
    [
      "a long row",
      score,
      { rows: [{ prompt: "a", completion: "x".repeat(80) }] },
      "INVALID_ARGUMENT",
      "input.rows.0.prompt",
    ],
    ["no rows", score, { rows: [] }, "INVALID_ARGUMENT", "input.rows"],
    ["no texts", classify, { labels: ["a", "b"] }, "INVALID_ARGUMENT", "input.prompts"],
    ["an empty label", classify, { prompts: ["a"], labels: ["", "b"] }, "INVALID_ARGUMENT", "input.labels.0"],
    [
      "a masked model",
      classify,
      { model: { name: "filler" }, prompts: ["a"], labels: ["a", "b"] },
      "MODEL_UNSUPPORTED",
      "input.model",
    ],
  ])("%s is refused", async (_, query, input, code, field) => {
    const before = await server.queued();
    const { errors } = await server.gql(query, { input: { ...named, ...input } });
    expect(errors?.[0]?.extensions).toMatchObject({ code, issues: [{ field }] });
    expect(await server.queued()).toEqual(before);
  });

  test("a failure of one is the answer, and nothing of the others is left", async () => {
    const before = await server.queued();
    lane.next({}, { fails: { code: "OUT_OF_MEMORY", message: "No memory is left." } });
    const input = { ...named, prompts: ["a", "b", "c"], labels: ["a", "b"] };
    const { errors } = await server.gql(classify, { input });
    expect(errors?.[0]?.extensions.code).toBe("OUT_OF_MEMORY");
    expect(await server.queued()).toEqual(before);
  });
});

describe("aliases", () => {
  const set = `mutation ($name: String!, $model: ModelInput!) {
    setAlias(name: $name, model: $model) { name baseModel { name } checkpoint { id } moves } }`;
  const back = "mutation ($name: String!) { rollBackAlias(name: $name) { baseModel { name } moves } }";

  test("roll out, answer, roll back", async () => {
    await server.ask(set, { name: "support", model: { name: "bytes" } });
    const moved = await server.ask(set, { name: "support", model: { name: "talker" } });
    expect(moved).toEqual({ setAlias: { name: "support", baseModel: { name: "talker" }, checkpoint: null, moves: 2 } });
    const { completion } = await created({ model: { name: "support" } });
    expect(completion).toMatchObject({ alias: "support", baseModel: { name: "talker" } });
    await piecesOf(completion.id);
    expect(await server.ask(back, { name: "support" })).toEqual({
      rollBackAlias: { baseModel: { name: "bytes" }, moves: 1 },
    });
    expect(await server.ask('{ aliases { name } alias(name: "support") { baseModel { name } } }')).toEqual({
      aliases: [{ name: "support" }],
      alias: { baseModel: { name: "bytes" } },
    });
    const again = await server.gql(back, { name: "support" });
    expect(again.errors?.[0]?.extensions.code).toBe("INVALID_STATE");
    const remove = 'mutation { removeAlias(name: "support") }';
    expect(await server.ask(remove)).toEqual({ removeAlias: true });
    expect(await server.ask(remove)).toEqual({ removeAlias: false });
  });

  test.each([
    ["a base model's name", "bytes", { name: "talker" }, "CONFLICT"],
    ["a name with spaces", "a b", { name: "talker" }, "INVALID_ARGUMENT"],
    ["an unknown model", "fine", { name: "nothing" }, "NOT_FOUND"],
    ["two models", "fine", { name: "talker", fineTune: "x" }, "INVALID_ARGUMENT"],
  ])("%s is refused", async (_, name, model, code) => {
    const { errors } = await server.gql(set, { name, model });
    expect(errors?.[0]?.extensions.code).toBe(code);
    expect(await server.ask("{ aliases { name } }")).toEqual({ aliases: [] });
  });

  test("point at the best checkpoint of a run", async () => {
    const fineTune = await createFineTune(server, { steps: 4 });
    const early = await server.gql(set, { name: "best", model: { fineTune } });
    expect(early.errors?.[0]?.extensions).toMatchObject({
      code: "INVALID_STATE",
      issues: [{ field: "model.fineTune" }],
    });
    const worker = await FakeWorker.claim(server.store);
    await worker.train(4);
    await worker.checkpoint();
    await worker.succeed();
    const answer = await server.ask<{ setAlias: { checkpoint: { id: string } } }>(set, {
      name: "best",
      model: { fineTune },
    });
    const { id } = answer.setAlias.checkpoint;
    expect(await server.ask("query ($id: ID!) { checkpoint(id: $id) { aliases } }", { id })).toEqual({
      checkpoint: { aliases: ["best"] },
    });
    const { completion } = await created({ model: { checkpoint: id } });
    expect(completion).toMatchObject({ alias: null, baseModel: { name: "bytes" } });
    await piecesOf(completion.id);
    await server.ask('mutation { removeAlias(name: "best") }');
  });
});

describe("evaluations", () => {
  const evaluate = `mutation ($input: CreateEvaluationInput!) {
    createEvaluation(input: $input) { created evaluation { id status answerTokens truncate } } }`;
  const result = `query ($id: ID!) { modelEvaluation(id: $id) { status rows loss accuracy f1 error { code } dataset { name }
    baseModel { name evaluations(first: 1) { nodes { id } } } } }`;
  const cancel = "mutation ($id: ID!) { cancelEvaluation(id: $id) { status } }";
  interface Evaluated {
    readonly createEvaluation: { created: boolean; evaluation: { id: string } };
  }

  test("are made once, measured by a worker, and listed with their model", async () => {
    const input = {
      ...named,
      dataset: await createDataset(server),
      idempotencyKey: "eval",
      labelWords: [" good", " bad"],
    };
    const first = (await server.ask<Evaluated>(evaluate, { input })).createEvaluation;
    expect(first).toMatchObject({
      created: true,
      evaluation: { status: "QUEUED", answerTokens: 0, truncate: "REFUSE" },
    });
    const { id } = first.evaluation;
    expect(await server.ask(evaluate, { input })).toMatchObject({
      createEvaluation: { created: false, evaluation: { id } },
    });
    const job = await claimAny(server.store);
    if (!job) throw new Error("there is no job to claim");
    const measured = { rows: 3, loss: 0.5, accuracy: 1, f1: null, exactMatch: null };
    await server.store.finishEvaluation(job, { status: "SUCCEEDED", measured });
    expect(await server.ask(result, { id })).toEqual({
      modelEvaluation: {
        status: "SUCCEEDED",
        rows: 3,
        loss: 0.5,
        accuracy: 1,
        f1: null,
        error: null,
        dataset: { name: "rows" },
        baseModel: { name: "bytes", evaluations: { nodes: [{ id }] } },
      },
    });
    expect(await server.ask(cancel, { id })).toEqual({ cancelEvaluation: { status: "SUCCEEDED" } });
  });

  test("are refused with nothing queued, and cancelled", async () => {
    const before = await server.queued();
    const dataset = await createDataset(server);
    const long = await createDataset(server, "long", JSON.stringify({ prompt: "x".repeat(80), completion: " good" }));
    const refusals: [object, string, string | undefined][] = [
      [{ dataset: long }, "DATASET_INVALID", undefined],
      [{ dataset, labelWords: [" bad"] }, "DATASET_INVALID", undefined],
      [{ dataset, answerTokens: -1 }, "INVALID_ARGUMENT", "input.answerTokens"],
      [{ dataset, model: { name: "none" } }, "NOT_FOUND", "input.model.name"],
      [{ dataset: globalId("Dataset", "00000000-0000-7000-8000-000000000000") }, "NOT_FOUND", "input.dataset"],
    ];
    for (const [change, code, field] of refusals) {
      const { errors } = await server.gql(evaluate, { input: { ...named, ...change } });
      const { extensions } = errors?.[0] ?? {};
      expect({ code: extensions?.code, field: extensions?.issues[0]?.field }).toEqual({ code, field });
    }
    expect(await server.queued()).toEqual(before);
    const { createEvaluation } = await server.ask<Evaluated>(evaluate, { input: { ...named, dataset } });
    const { id } = createEvaluation.evaluation;
    expect(await server.ask(cancel, { id })).toEqual({ cancelEvaluation: { status: "CANCELLED" } });
    expect(await server.queued()).toEqual(before);
  });
});

describe("client and command line", () => {
  test("read pieces as they come, from a cursor, and whole", async () => {
    lane.next({ texts: [" go", "od"] });
    const client = new SteplogClient({ url: server.url });
    const { id } = await client.createCompletion({ model: { name: "bytes" }, prompt: "It was" });
    const texts: string[] = [];
    let cursor = 0;
    for await (const { cursor: at, piece } of client.completionPieces(id)) {
      texts.push(piece.text);
      cursor = at;
    }
    expect(texts.join("")).toBe(" good");
    const rest: unknown[] = [];
    for await (const more of client.completionPieces(id, { after: cursor })) rest.push(more);
    expect(rest).toEqual([]);
    expect((await client.completion(id)).choices[0]?.text).toBe(" good");
    expect(await client.deleteCompletion(id)).toBe(true);
    await expect(client.completion(id)).rejects.toMatchObject({ code: "NOT_FOUND" });
    lane.next({ fails: { code: "BASE_MISMATCH", message: "The files of bytes have changed." } });
    const failing = await client.createCompletion({ model: { name: "bytes" }, prompt: "It was" });
    await expect(client.completionPieces(failing.id).next()).rejects.toMatchObject({ code: "BASE_MISMATCH" });
  });

  test("steplog complete prints what was written, and leaves nothing", async () => {
    const before = await server.queued();
    const here = async (...args: string[]) => steplogHere([...args, "--url", server.url]);
    const asked = ["complete", "--model", "bytes", "--prompt", "It was"];
    expect(await here(...asked)).toMatchObject({ code: 0, stdout: " good\n" });
    expect(await here(...asked, "--n", "2")).toMatchObject({ stdout: " good\n---\n good\n" });
    expect(await here(...asked, "--labels", "w", "zz")).toMatchObject({ stdout: "w\n" });
    const json = await here("complete", "--model", "talker", "--message", "Hi", "--json");
    expect(JSON.parse(json.stdout)).toMatchObject({ choices: [{ text: " good" }], usage: { promptTokens: 20 } });
    expect(await here("complete", "--model", "none", "--prompt", "a")).toMatchObject({ code: 3 });
    expect(await here("complete", "--model", "bytes")).toMatchObject({ code: 3 });
    expect(await server.queued()).toEqual(before);
  });

  test("steplog alias sets, lists, goes back and removes", async () => {
    const here = async (...args: string[]) => (await steplogHere([...args, "--url", server.url])).stdout;
    expect(await here("alias", "set", "help", "--model", "bytes")).toBe("help is the base model bytes.\n");
    await here("alias", "set", "help", "--model", "talker");
    expect(await here("alias", "back", "help")).toBe("help is the base model bytes again.\n");
    expect(await here("alias", "list")).toBe("help is the base model bytes.\n");
    expect(await here("alias", "remove", "help")).toBe("Removed the alias help.\n");
    expect(await here("alias", "list", "--json")).toBe("[]\n");
  });
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
