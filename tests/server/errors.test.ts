/** Every error of a request has a code, and names fields and lines. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { pino } from "pino";
import { SteplogError } from "../../schema/errors.ts";
import { toClientError, toHttpError } from "../../server/errors.ts";
import type { CreatedFineTune, TestServer } from "./harness.ts";
import { createDataset, createFineTuneMutation, globalId, modelRow, rowId, rows, testServer } from "./harness.ts";

let server: TestServer;
let dataset: string;
beforeAll(async () => {
  server = await testServer();
  dataset = await createDataset(server);
});
afterAll(() => server.dispose());

const firstError = async (query: string, variables?: object) => {
  const { errors } = await server.gql(query, variables);
  if (!errors?.[0]) throw new Error("the answer has no error");
  return errors[0];
};

const createDatasetMutation = "mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { id } }";
const good = '{"prompt": "a", "completion": "b"}';

test("an error of this machine's disks names no folder of it, and an unknown address stays whole", () => {
  const log = pino({ enabled: false });
  const full = new SteplogError("UNAVAILABLE", "The storage folder /srv/steplog/storage has no room left (ENOSPC).");
  const told = "The storage folder steplog/storage has no room left (ENOSPC).";
  expect(toClientError(full, log).message).toBe(told);
  expect(JSON.parse(toHttpError(full, log).body)).toMatchObject({ errors: [{ message: told }] });
  const address = new SteplogError("NOT_FOUND", "There is nothing at /some/page.");
  expect(toClientError(address, log).message).toBe(address.message);
});

describe("datasets", () => {
  test.each([
    ["no JSON", `${good}\n{oops`, 2, /not JSON/u],
    ["no object", `${good}\n\n[1]`, 3, /not a JSON object/u],
    ["a missing field", `{"prompt": "a"}`, 1, /completion.*missing/u],
    ["a field of another type", `${good}\n{"prompt": 1, "completion": "b"}`, 2, /prompt/u],
    ["an empty completion", `${good}\n${good}\n{"prompt": "a", "completion": ""}`, 3, /empty/u],
  ])("%s is named by line", async (_what, jsonl, line, message) => {
    const error = await firstError(createDatasetMutation, { input: { name: "bad", jsonl } });
    expect(error.extensions).toMatchObject({ code: "DATASET_INVALID", issues: [{ line }] });
    expect(error.extensions.issues).toHaveLength(1);
    expect(error.extensions.issues[0]?.message).toMatch(message);
  });

  test("an empty file is refused", async () => {
    const error = await firstError(createDatasetMutation, { input: { name: "empty", jsonl: "\n" } });
    expect(error.extensions.code).toBe("DATASET_INVALID");
    expect(error.message).toMatch(/empty/u);
  });

  test("twenty wrong lines are listed, the rest are counted, and nothing is stored", async () => {
    const before = await server.ask("{ datasets { nodes { id } } }");
    const error = await firstError(createDatasetMutation, { input: { name: "bad", jsonl: "x\n".repeat(50) } });
    expect(error.extensions.issues).toHaveLength(20);
    expect(error.message).toMatch(/50/u);
    expect(await server.ask("{ datasets { nodes { id } } }")).toEqual(before);
  });

  test("inline rows above one mebibyte are refused, with advice to upload them", async () => {
    const error = await firstError(createDatasetMutation, {
      input: { name: "big", jsonl: "x".repeat(1024 * 1024 + 1) },
    });
    expect(error.extensions).toMatchObject({ code: "PAYLOAD_TOO_LARGE", issues: [{ field: "input.jsonl" }] });
    expect(error.message).toMatch(/1048577 bytes.*\/uploads/u);
  });

  test.each([
    ["neither rows nor upload", { name: "a" }],
    ["both", { name: "a", jsonl: good, uploadId: "b" }],
  ])("%s is refused", async (_what, input) => {
    const error = await firstError(createDatasetMutation, { input });
    expect(error.extensions.code).toBe("INVALID_ARGUMENT");
    expect(error.message).toMatch(/exactly one/u);
  });

  test.each(["", "  ", "x".repeat(201)])("the name %j is refused by field", async (name) => {
    const error = await firstError(createDatasetMutation, { input: { name, jsonl: good } });
    expect(error.extensions).toMatchObject({ code: "INVALID_ARGUMENT", issues: [{ field: "input.name" }] });
  });
});

describe("fine-tunes", () => {
  const create = (input: object) =>
    firstError(createFineTuneMutation, { input: { name: "x", baseModel: "bytes", dataset, ...input } });

  test.each([
    ["steps", 0, "a whole number from 1 to 1000000"],
    ["steps", 1_000_001, "a whole number from 1 to 1000000"],
    ["batchSize", 1025, "a whole number from 1 to 1024"],
    ["learningRate", 0, "a number above 0 and up to 10, or AUTO"],
    ["learningRate", -1, "a number above 0 and up to 10, or AUTO"],
    ["epsilon", 2, "a number from 0.000001 to 1"],
    ["weightDecay", 101, "a number from 0 to 100"],
    ["seed", 4_294_967_296, "a whole number from 0 to 4294967295"],
    ["evaluateEvery", -1, "a whole number from 0 to 1000000"],
  ])("%s = %d is refused with its range", async (name, value, range) => {
    const error = await create({ hyperparameters: { [name]: value } });
    expect(error.extensions).toEqual({
      code: "INVALID_ARGUMENT",
      issues: [{ field: `input.hyperparameters.${name}`, message: `must be ${range}; it is ${value}` }],
    });
  });

  test("all wrong settings are reported together", async () => {
    const error = await create({ hyperparameters: { steps: 0, epsilon: 0 } });
    expect(error.extensions.issues.map((issue) => issue.field)).toEqual([
      "input.hyperparameters.steps",
      "input.hyperparameters.epsilon",
    ]);
  });

  test("an infinite number is refused", async () => {
    const error = await firstError(`mutation { createFineTune(input: {
      name: "x", baseModel: "bytes", dataset: "${dataset}", hyperparameters: { learningRate: 1e999 }
    }) { created } }`);
    expect(error.extensions.issues).toEqual([
      {
        field: "input.hyperparameters.learningRate",
        message: "must be a number above 0 and up to 10, or AUTO; it is Infinity",
      },
    ]);
  });

  test.each([
    ["text for a number", { steps: "ten" }, /Int cannot represent/u],
    ["a fraction for a whole number", { steps: 1.5 }, /Int cannot represent/u],
    ["a fraction for a seed", { seed: 1.5 }, /SafeInt must be a whole number/u],
    ["an unknown kind of noise", { noise: "PINK" }, /NoiseKind/u],
    ["an unknown setting", { momentum: 1 }, /momentum/u],
  ])("%s is refused by GraphQL", async (_what, hyperparameters, message) => {
    const error = await create({ hyperparameters });
    expect(error.extensions.code).toBe("INVALID_ARGUMENT");
    expect(error.message).toMatch(message);
  });

  test("an unknown dataset is NOT_FOUND, and the error lists the newest ones", async () => {
    const error = await create({ dataset: globalId("Dataset", "00000000-0000-4000-8000-000000000000") });
    expect(error.extensions).toMatchObject({ code: "NOT_FOUND", issues: [{ field: "input.dataset" }] });
    expect(error.message).toContain(`rows (${dataset})`);
  });

  test.each(["no id", "", globalId("FineTune", "x"), "%%%"])("the dataset id %j is malformed", async (id) => {
    const error = await create({ dataset: id });
    expect(error.extensions.code).toBe("INVALID_ARGUMENT");
  });

  test("rows that exceed the context or match no label word are reported by line", async () => {
    const long = JSON.stringify({ prompt: "p".repeat(60), completion: "c".repeat(5) });
    const id = await createDataset(server, "long", `${rows(2)}\n${long}`);
    const tooLong = await create({ dataset: id });
    expect(tooLong.extensions).toEqual({
      code: "DATASET_INVALID",
      issues: [{ line: 3, message: "the row has 65 tokens, but the model's context is 64" }],
    });
    const validation = await create({ validationDataset: id });
    expect(validation.extensions.issues).toEqual([expect.objectContaining({ line: 3 })]);
    const words = await create({ labelWords: [" bad", " worse"] });
    expect(words.extensions.issues).toHaveLength(3);
    const { fineTunes } = await server.ask<{ fineTunes: { nodes: object[] } }>("{ fineTunes { nodes { id } } }");
    expect(fineTunes.nodes).toEqual([]);
  });

  test("conversations are refused for a masked model when the run is created", async () => {
    await server.store.baseModels.register({ ...modelRow("masks"), family: "roberta" });
    const messages = [{ role: "assistant", content: "b" }];
    const conversations = await createDataset(server, "conversations", JSON.stringify({ messages }));
    const text = await create({ baseModel: "masks", dataset: conversations });
    expect(text).toMatchObject({
      extensions: { code: "DATASET_INVALID" },
      message: expect.stringContaining("which masked models cannot learn. Give rows of prompt") as unknown,
    });
    const tokens = JSON.stringify({ input_ids: [0, 4, 2], labels: [-100, 7, -100] });
    const id = await createDataset(server, "masked", tokens);
    const input = { name: "masked", baseModel: "masks", dataset: id };
    const { createFineTune } = await server.ask<CreatedFineTune>(createFineTuneMutation, { input });
    await server.store.fineTunes.cancel(rowId(createFineTune.fineTune.id));
    const settings = { objective: "F1", answerTokens: 4 };
    const answers = await create({ baseModel: "masks", dataset: id, hyperparameters: settings });
    expect(answers.extensions.issues[0]?.message).toContain(
      "roberta is a masked language model, which cannot generate answers",
    );
  });

  test("objectives and estimators that lack a setting are refused", async () => {
    const single = await create({ hyperparameters: { estimator: "FZOO", estimates: 1 } });
    expect(single.extensions.issues).toEqual([
      { field: "input.hyperparameters.estimates", message: "must be at least 2 with estimator FZOO; it is 1" },
    ]);
    const choice = await create({ hyperparameters: { objective: "ACCURACY" } });
    expect(choice.extensions.code).toBe("DATASET_INVALID");
    expect(choice.extensions.issues[0]?.message).toContain("the objective needs candidates");
    const silent = await create({ hyperparameters: { objective: "EXACT_MATCH" } });
    expect(silent.extensions).toMatchObject({
      code: "INVALID_ARGUMENT",
      issues: [
        {
          field: "input.hyperparameters.answerTokens",
          message: "must be at least 1 with objective EXACT_MATCH; it is 0",
        },
      ],
    });
  });

  test("a warm-up beyond the run, and patterns that select nothing, are refused by field", async () => {
    const warmup = await create({ hyperparameters: { steps: 10, warmupSteps: 11 } });
    expect(warmup.extensions.issues).toEqual([
      { field: "input.hyperparameters.warmupSteps", message: "must be at most the 10 steps of the run; it is 11" },
    ]);
    const parts = { tensors: ["h.0.fc.weight", "h.0.fc.bias"], layers: ["h.0.fc"] };
    await server.store.baseModels.register({ ...modelRow("named"), parts });
    const tensors = await create({ baseModel: "named", hyperparameters: { tensors: ["fc.bias", "fd.weight"] } });
    expect(tensors.extensions.issues).toEqual([
      {
        field: "input.hyperparameters.tensors.1",
        message: '"fd.weight" matches no tensor of this model. Its tensors\' names end with fc.weight, fc.bias.',
      },
    ]);
    const targets = await create({ baseModel: "named", hyperparameters: { method: "LORA", loraTargets: ["q_proj"] } });
    expect(targets.extensions.issues).toEqual([
      {
        field: "input.hyperparameters.loraTargets.0",
        message: '"q_proj" matches no linear layer of this model. Its layers are called fc.',
      },
    ]);
  });

  test("too many label words, or an empty one, are refused by field", async () => {
    const many = await create({ labelWords: Array.from({ length: 65 }, (_, index) => `w${index}`) });
    expect(many.extensions.issues).toEqual([expect.objectContaining({ field: "input.labelWords" })]);
    const empty = await create({ labelWords: [""] });
    expect(empty.extensions.issues).toEqual([expect.objectContaining({ field: "input.labelWords.0" })]);
  });
});

describe("anything else", () => {
  test.each([
    ["{ fineTunes(first: 101) { nodes { id } } }", "first"],
    ["{ fineTunes(first: -1) { nodes { id } } }", "first"],
    ["{ fineTunes(first: 1, last: 1) { nodes { id } } }", "last"],
    ['{ fineTunes(after: "x") { nodes { id } } }', "after"],
    [`{ nodes(ids: [${`"${globalId("Dataset", "x")}",`.repeat(101)}]) { id } }`, "ids"],
  ])("%s is refused by field", async (query, field) => {
    const error = await firstError(query);
    expect(error.extensions).toMatchObject({ code: "INVALID_ARGUMENT", issues: [{ field }] });
  });

  test.each([
    "{",
    "{ nothing }",
    "query ($a: Int!) { service { version } }",
    '{ node(id: "x") { id } }',
    "query A { a: __typename } query B { b: __typename }",
  ])("%s is an invalid argument", async (query) => {
    expect((await firstError(query)).extensions).toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  test("mutations on missing objects are NOT_FOUND", async () => {
    const unknown = "00000000-0000-4000-8000-000000000000";
    const cancel = `mutation { cancelFineTune(id: "${globalId("FineTune", unknown)}") { id } }`;
    expect((await firstError(cancel)).extensions).toMatchObject({ code: "NOT_FOUND", issues: [{ field: "id" }] });
    const weights = `mutation { materialiseCheckpoint(id: "${globalId("Checkpoint", unknown)}") { id } }`;
    expect((await firstError(weights)).extensions).toMatchObject({ code: "NOT_FOUND", issues: [{ field: "id" }] });
  });

  test("an operation that is too large is refused before it runs", async () => {
    const nested = "fineTunes(first: 100) { nodes { metrics(first: 2000) { step loss } } }";
    const error = await firstError(`{ ${nested} }`);
    expect(error.extensions.code).toBe("INVALID_ARGUMENT");
    expect(error.message).toMatch(/too large: its complexity/u);
    const deep = "checkpoints { nodes { fineTune {".repeat(6) + " id " + "} } }".repeat(6);
    expect((await firstError(`{ fineTunes(first: 1) { nodes { ${deep} } } }`)).message).toMatch(
      /too large: its (depth|complexity)/u,
    );
  });

  test("the limits allow a query for every field of a run", async () => {
    const { errors } = await server.gql(`{ fineTune(id: "${globalId("FineTune", "x")}") {
      id name status loss chart(points: 2000) { step loss lossMin lossMax count } metrics(first: 2000) { step loss projectedGradient learningRate skipped seconds at }
      events(first: 1000) { sequence type message at } evaluations { step loss accuracy } checkpoints(first: 100) { nodes { id entries logUrl logBytes } }
    } }`);
    expect(errors).toBeUndefined();
  });

  test("an internal error is masked, and its id is in the log", async () => {
    server.store.baseModels.list = () => Promise.reject(new Error("secret detail"));
    const error = await firstError("{ baseModels { nodes { id } } }");
    expect(error.extensions).toEqual({ code: "INTERNAL", issues: [] });
    expect(error.message).not.toContain("secret");
    const id = /under ([\w-]+)\./u.exec(error.message)?.[1] ?? "none";
    expect(server.logged.filter((line) => line.includes(id) && line.includes("secret detail"))).toHaveLength(1);
  });
});
