/** Aliases by GraphQL and by the command. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { steplogHere } from "../support/command.ts";
import { answeringServer, created, piecesOf } from "./asking.ts";
import type { FakeLane } from "./fake-lane.ts";
import { createFineTune, FakeWorker, type TestServer } from "./harness.ts";

let server: TestServer;
let lane: FakeLane;
beforeAll(async () => {
  ({ server, lane } = await answeringServer());
});
afterAll(async () => {
  await lane.stop();
  await server.dispose();
});

describe("aliases", () => {
  const set = `mutation ($name: String!, $model: ModelInput!) {
    setAlias(name: $name, model: $model) { name baseModel { name } checkpoint { id } moves } }`;
  const back = "mutation ($name: String!) { rollBackAlias(name: $name) { baseModel { name } moves } }";

  test("roll out, answer, roll back", async () => {
    await server.ask(set, { name: "support", model: { name: "bytes" } });
    const moved = await server.ask(set, { name: "support", model: { name: "talker" } });
    expect(moved).toEqual({ setAlias: { name: "support", baseModel: { name: "talker" }, checkpoint: null, moves: 2 } });
    const { completion } = await created(server, { model: { name: "support" } });
    expect(completion).toMatchObject({ alias: "support", baseModel: { name: "talker" } });
    await piecesOf(server, completion.id);
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
    const { completion } = await created(server, { model: { checkpoint: id } });
    expect(completion).toMatchObject({ alias: null, baseModel: { name: "bytes" } });
    await piecesOf(server, completion.id);
    await server.ask('mutation { removeAlias(name: "best") }');
  });

  test("steplog alias sets, lists, goes back and removes", async () => {
    const here = async (...args: string[]) => (await steplogHere([...args, "--url", server.url])).stdout;
    expect(await here("alias", "set", "help", "--model", "bytes")).toBe("help is the base model bytes.\n");
    await here("alias", "set", "help", "--model", "talker");
    expect(await here("alias", "back", "help")).toBe("help is the base model bytes again.\n");
    expect(await here("alias", "list")).toBe("help is the base model bytes.\n");
    expect(await here("alias", "remove", "help")).toBe("Removed the alias help.\n");
    expect(await here("alias", "list", "--json")).toBe('{"aliases":[],"next":null}\n');
  });
});
