/** Evaluations that somebody asks for: what is asked, measured, listed and refused. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SteplogClient } from "../../client/index.ts";
import type { EvaluationEnd } from "../../store/store.ts";
import { claimAny } from "../support/claims.ts";
import { steplogHere } from "../support/command.ts";
import { scratch } from "../support/models.ts";
import { named } from "./asking.ts";
import {
  createDataset,
  createFineTune,
  FakeWorker,
  globalId,
  rowId,
  rows,
  testServer,
  type TestServer,
  modelRow,
} from "./harness.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.dispose());

interface Examples {
  readonly modelEvaluation: { readonly examples: readonly { readonly row: number; readonly right: boolean | null }[] };
}

interface Stored {
  readonly datasets: { readonly nodes: readonly { readonly name: string }[] };
}

const measured = { rows: 3, loss: 0.5, accuracy: 1, f1: null, exactMatch: null };

/** Ends the next evaluation, as a worker does, as soon as there is one. */
async function workOnce(end: EvaluationEnd = { status: "SUCCEEDED", measured }): Promise<void> {
  let job = await claimAny(server.store);
  while (!job) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    job = await claimAny(server.store);
  }
  await server.store.finishEvaluation(job, end);
}

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
    await workOnce();
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

  test("show what came of each row, all or only those that are right or wrong, and go with the evaluation", async () => {
    const dataset = await createDataset(server);
    const input = { model: { name: "bytes" }, dataset, labelWords: [" good", " bad"] };
    const { id } = (await server.ask<Evaluated>(evaluate, { input })).createEvaluation.evaluation;
    const rowsOf = Array.from({ length: 120 }, (_, row) => ({
      row,
      prompt: `${row} is`,
      expected: " good",
      answer: row % 3 === 0 ? " bad" : " good",
      right: row % 3 !== 0,
      loss: row === 4 ? NaN : 0.5,
    }));
    const examples = `query ($id: ID!, $after: Int, $first: Int, $right: Boolean) { modelEvaluation(id: $id) {
      examples(after: $after, first: $first, right: $right) { row prompt expected answer right loss } } }`;
    const ask = async (page: object) =>
      (await server.ask<Examples>(examples, { id, ...page })).modelEvaluation.examples;
    expect(await ask({})).toEqual([]);
    await workOnce({ status: "SUCCEEDED", measured, rows: rowsOf });
    const told = rowsOf.map((one) => ({ ...one, loss: one.row === 4 ? null : one.loss }));
    expect(await ask({ first: 100 })).toEqual(told.slice(0, 100));
    expect(await ask({ first: 100, after: 99 })).toEqual(told.slice(100));
    expect(await ask({ first: 5, right: false })).toEqual(told.filter(({ right }) => !right).slice(0, 5));
    const { errors } = await server.gql(examples, { id, first: 101 });
    expect(errors?.[0]?.extensions.code).toBe("INVALID_ARGUMENT");
    // They are the evaluation's, not the dataset's.
    const drop = "mutation ($dataset: ID!) { deleteDataset(id: $dataset) }";
    expect(await server.ask(drop, { dataset })).toEqual({ deleteDataset: true });
    expect(await ask({ first: 100 })).toEqual(told.slice(0, 100));
    expect(await server.store.evaluations.delete(rowId(id))).toBe(true);
    expect(await server.store.evaluations.rows(rowId(id), { after: -1, limit: 10 })).toEqual([]);
  });

  test("are refused with nothing queued, and cancelled", async () => {
    const before = await server.queued();
    const dataset = await createDataset(server);
    const long = await createDataset(server, "long", JSON.stringify({ prompt: "x".repeat(80), completion: " good" }));
    await server.store.baseModels.register({ ...modelRow("filler"), family: "roberta" });
    const refusals: [object, string, string | undefined][] = [
      [{ dataset, answerTokens: 2, model: { name: "filler" } }, "INVALID_ARGUMENT", "input.answerTokens"],
      [{ dataset: long }, "DATASET_INVALID", undefined],
      [{ dataset, labelWords: [" bad", " worse"] }, "DATASET_INVALID", undefined],
      [{ dataset, labelWords: [" good"] }, "INVALID_ARGUMENT", "input.labelWords"],
      [{ dataset, labelWords: [" good", " good"] }, "INVALID_ARGUMENT", "input.labelWords.1"],
      [{ dataset, calibrationPrompt: "It was" }, "INVALID_ARGUMENT", "input.calibrationPrompt"],
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

  test("of checkpoints are listed with them and with their run, newest first, beside the run's own", async () => {
    const dataset = await createDataset(server);
    const fineTune = await createFineTune(server, { steps: 4 });
    const worker = await FakeWorker.claim(server.store);
    for (const _ of [1, 2]) {
      await worker.train(2);
      await server.store.recordEvaluation(worker.job, { entries: worker.step, step: worker.step, ...measured });
      await worker.checkpoint();
    }
    await worker.succeed();
    const found = await server.ask<{ fineTune: { checkpoints: { nodes: { id: string }[] } } }>(
      "query ($id: ID!) { fineTune(id: $id) { checkpoints { nodes { id } } } }",
      { id: fineTune },
    );
    const [last, first] = found.fineTune.checkpoints.nodes.map(({ id }) => id);
    const ids: string[] = [];
    for (const model of [{ checkpoint: first }, { fineTune }, { checkpoint: last }, named.model]) {
      const { createEvaluation } = await server.ask<Evaluated>(evaluate, { input: { model, dataset } });
      ids.push(createEvaluation.evaluation.id);
    }
    const list = `query ($id: ID!, $after: String) { fineTune(id: $id) {
      modelEvaluations(first: 2, after: $after) { nodes { id checkpoint { step } } pageInfo { endCursor } }
      checkpoints { nodes { step evaluations { nodes { id } } runEvaluations { step kind } } } } }`;
    interface Listed {
      readonly fineTune: { modelEvaluations: { nodes: { id: string }[]; pageInfo: { endCursor: string } } };
    }
    const page = await server.ask<Listed>(list, { id: fineTune });
    const { endCursor } = page.fineTune.modelEvaluations.pageInfo;
    const own = (step: number) => [{ step, kind: "VALIDATION" }];
    const [ofFirst, ofRun, ofLast] = ids;
    const isFirstBest = { step: 2 };
    expect(page.fineTune).toMatchObject({
      modelEvaluations: {
        nodes: [
          { id: ofLast, checkpoint: { step: 4 } },
          { id: ofRun, checkpoint: isFirstBest },
        ],
      },
      checkpoints: {
        nodes: [
          { step: 4, evaluations: { nodes: [{ id: ofLast }] }, runEvaluations: own(4) },
          { step: 2, evaluations: { nodes: [{ id: ofRun }, { id: ofFirst }] }, runEvaluations: own(2) },
        ],
      },
    });
    const rest = await server.ask<Listed>(list, { id: fineTune, after: endCursor });
    expect(rest.fineTune.modelEvaluations.nodes).toMatchObject([{ id: ofFirst }]);
    for (const id of ids) await server.ask(cancel, { id });
  });

  test("are created, read, waited for and cancelled by the client", async () => {
    const client = new SteplogClient({ url: server.url });
    const dataset = await createDataset(server);
    const { id, status } = await client.createEvaluation({ model: { name: "bytes" }, dataset });
    expect(status).toBe("QUEUED");
    const reasons: (string | null)[] = [];
    const ended = client.waitForEvaluation(id, { onWait: ({ waitingReason }) => reasons.push(waitingReason) });
    while (reasons.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await workOnce();
    expect(await ended).toMatchObject({ id, status: "SUCCEEDED", ...measured, dataset: { id: dataset } });
    expect(reasons[0]).toMatch(/worker/u);
    const { id: other } = await client.createEvaluation({ model: { name: "bytes" }, dataset });
    expect(await client.cancelEvaluation(other)).toMatchObject({ status: "CANCELLED" });
    expect(await client.waitForEvaluation(other)).toMatchObject({ status: "CANCELLED", loss: null });
    const gone = globalId("ModelEvaluation", "00000000-0000-7000-8000-000000000000");
    await expect(client.evaluation(gone)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("are made by steplog evaluate, of a file, which is stored once, or of a stored dataset", async () => {
    const path = join(await scratch(), "measured.jsonl");
    await writeFile(path, rows(3));
    const here = (...args: string[]) => steplogHere(["evaluate", "bytes", ...args, "--url", server.url]);
    const answered = async (args: string[], end?: EvaluationEnd) => {
      const command = here(...args);
      await workOnce(end);
      return command;
    };
    const first = await answered(["--dataset", path]);
    expect(first).toMatchObject({ code: 0, stdout: "loss 0.5000, accuracy 100.0% on 3 rows\n" });
    const whole = await answered(["--dataset", path, "--json"]);
    const { dataset, ...rest } = JSON.parse(whole.stdout) as { readonly dataset: { id: string; name: string } };
    expect(rest).toMatchObject({ status: "SUCCEEDED", ...measured, baseModel: { name: "bytes" } });
    expect(dataset.name).toBe("measured.jsonl");
    const { datasets } = await server.ask<Stored>("{ datasets(first: 100) { nodes { id name } } }");
    expect(datasets.nodes.filter(({ name }) => name === dataset.name)).toEqual([dataset]);
    const error = { code: "OUT_OF_MEMORY", message: "No memory is left.", issues: [] } as const;
    const failed = await answered(["--dataset", dataset.id, "--json"], { status: "FAILED", ...error });
    expect(failed.code).toBe(4);
    expect(JSON.parse(failed.stdout)).toMatchObject({ status: "FAILED", dataset, error });
    expect(await here("--dataset", `${path}.not`)).toMatchObject({ code: 3 });
  });
});
