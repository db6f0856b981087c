/** Completions by GraphQL, by the client and by the command: what is asked, and how it arrives. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { SteplogClient } from "../../client/index.ts";
import { samplingSchema } from "../../schema/completion.ts";
import { steplogHere } from "../support/command.ts";
import { answeringServer, create, created, named, piecesOf } from "./asking.ts";
import { FakeLane, scoreOf } from "./fake-lane.ts";
import { rowId, type TestServer } from "./harness.ts";

let server: TestServer;
let lane: FakeLane;
beforeAll(async () => {
  ({ server, lane } = await answeringServer());
});
afterEach(() => lane.next());
afterAll(async () => {
  await lane.stop();
  await server.dispose();
});

const read = `query ($id: ID!) { completion(id: $id) {
  status label labelScores { label score tokens } choices { index text tokens finishReason logprobs { text logProbability top { text } } }
  usage { promptTokens completionTokens } seed device error { code message } waitingReason } }`;

describe("a completion", () => {
  test("is written piece by piece, to whoever subscribes, from any cursor", async () => {
    lane.next({ texts: [" go", "od", "!"] });
    const { completion, created: isNew } = await created(server, { seed: 5, n: 2, maxTokens: 20 });
    expect({ isNew, seed: completion.seed }).toEqual({ isNew: true, seed: 5 });
    const all = await piecesOf(server, completion.id);
    expect(all.map(({ cursor }) => cursor)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(all.filter(({ piece }) => piece.choice === 1).map(({ piece }) => piece.text)).toEqual([" go", "od", "!"]);
    expect((await piecesOf(server, completion.id, { after: 4 })).map(({ cursor }) => cursor)).toEqual([5, 6]);
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
    const { completion } = await created(server, { logprobs: 2, maxTokens: 2 });
    await piecesOf(server, completion.id);
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

  test("asks a worker for all that its fields say", async () => {
    const sampling = {
      temperature: 0.9,
      topK: 11,
      topP: 0.8,
      minP: 0.02,
      repetitionPenalty: 1.3,
      presencePenalty: -0.4,
      frequencyPenalty: 0.7,
    };
    const written = { maxTokens: 6, n: 3, stop: ["x", "yz"], logprobs: 2 };
    const { completion } = await created(server, { ...written, ...sampling, seed: 2 ** 40 });
    await piecesOf(server, completion.id);
    const all = { ...sampling, logitBias: [], seed: 2 ** 40 };
    expect(lane.tasks.at(-1)).toStrictEqual({ kind: "GENERATE", ...written, sampling: all });
    // A field of the sampling that is new is to be sent, too.
    expect(Object.keys(all).toSorted()).toEqual(Object.keys(samplingSchema.shape).toSorted());
  });

  test("of messages is asked by the chat template", async () => {
    const messages = [{ role: "user", content: "Hi" }];
    const { completion } = await created(server, { model: { name: "talker" }, prompt: undefined, messages });
    await piecesOf(server, completion.id);
    expect(lane.prompts.at(-1)).toBe("user: Hi\nassistant: ");
  });

  test("chooses among labels by their mean log-probability", async () => {
    const { completion } = await created(server, { prompt: "gggg", labels: ["bad", "gg"], calibrationPrompt: "b" });
    expect(await piecesOf(server, completion.id)).toEqual([]);
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
    const tokens = (text: string) => [...Buffer.from(text)];
    const rows = ["gggg", "b"].flatMap((prompt) =>
      ["bad", "gg"].map((label) => ({ prompt: tokens(prompt), completion: tokens(label) })),
    );
    const chosen = { words: ["bad", "gg"], isCalibrated: true };
    expect(lane.tasks.at(-1)).toStrictEqual({ kind: "SCORE", rows, logprobs: null, labels: chosen });
  });

  test("of an idempotency key is created once, also with a drawn seed and without a worker", async () => {
    const input = { idempotencyKey: "once", temperature: 0.5 };
    const first = await created(server, input);
    await piecesOf(server, first.completion.id);
    await lane.stop();
    const again = await created(server, input);
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
    const { completion } = await created(server, {});
    const { id } = completion;
    await piecesOf(server, id, { enough: 1 });
    const cancel = "mutation ($id: ID!) { cancelCompletion(id: $id) { status } }";
    await server.ask(cancel, { id });
    release();
    await piecesOf(server, id);
    const { completion: whole } = await server.ask<{ completion: object }>(read, { id });
    expect(whole).toMatchObject({ status: "CANCELLED", choices: [{ finishReason: "CANCELLED" }] });
    expect(await server.ask(cancel, { id })).toEqual({ cancelCompletion: { status: "CANCELLED" } });
    const remove = "mutation ($id: ID!) { deleteCompletion(id: $id) }";
    expect(await server.ask(remove, { id })).toEqual({ deleteCompletion: true });
    expect(await server.ask(remove, { id })).toEqual({ deleteCompletion: false });
    expect(await server.ask(read, { id })).toEqual({ completion: null });
    expect(await server.store.completions.get(rowId(id))).toBeNull();
  });

  test("that fails ends its stream with its error", async () => {
    lane.next({ fails: { code: "BASE_MISMATCH", message: "The files of bytes have changed." } });
    const { completion } = await created(server, {});
    await expect(piecesOf(server, completion.id)).rejects.toMatchObject([{ extensions: { code: "BASE_MISMATCH" } }]);
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
    ["a label twice", classify, { prompts: ["a"], labels: ["a", "b", "b"] }, "INVALID_ARGUMENT", "input.labels.2"],
    ["an empty label", classify, { prompts: ["a"], labels: ["", "b"] }, "INVALID_ARGUMENT", "input.labels.0"],
    [
      "a masked model",
      classify,
      { model: { name: "filler" }, prompts: ["a"], labels: ["a", "b"] },
      "MODEL_UNSUPPORTED",
      "input.model",
    ],
    [
      "a masked model that is to score",
      score,
      { model: { name: "filler" }, rows: [{ prompt: "a", completion: "b" }] },
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
});
