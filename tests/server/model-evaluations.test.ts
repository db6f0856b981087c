/** Evaluations that somebody asks for: what is asked, measured, listed and refused. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { claimAny } from "../support/claims.ts";
import { named } from "./asking.ts";
import { createDataset, globalId, testServer, type TestServer } from "./harness.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.dispose());

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
