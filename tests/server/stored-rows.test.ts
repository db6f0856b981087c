/** The rows of a stored dataset by pages, their download, and what uses datasets and base models. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { operator } from "../../schema/projects.ts";
import { everything } from "../support/claims.ts";
import {
  chatModel,
  createDataset,
  createFineTune,
  FakeWorker,
  modelRow,
  rowId,
  rows,
  testServer,
  type TestServer,
} from "./harness.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.dispose());

interface Page {
  readonly rows: readonly { line: number; text: string; bytes: number; cut: boolean }[];
  readonly endCursor: string | null;
}

const query = `query ($id: ID!, $first: Int, $after: String) {
  node(id: $id) { ... on Dataset { storedRows(first: $first, after: $after) { rows { line text bytes cut } endCursor } } } }`;

const pageOf = async (id: string, page: object = {}) =>
  (await server.ask<{ node: { storedRows: Page } }>(query, { id, ...page })).node.storedRows;

async function allPages(id: string, first: number): Promise<Page[]> {
  const pages = [await pageOf(id, { first })];
  for (let after = pages.at(-1)?.endCursor; after != null; after = pages.at(-1)?.endCursor)
    pages.push(await pageOf(id, { first, after }));
  return pages;
}

const row = (prompt: string) => JSON.stringify({ prompt, completion: " yes" });

/** As a file of any size may be stored. */
async function upload(jsonl: string): Promise<string> {
  const response = await fetch(`${server.url}/datasets?name=uploaded`, { method: "POST", body: jsonl });
  return ((await response.json()) as { id: string }).id;
}

describe("storedRows", () => {
  test("pages have every row once, in order, with the line that an editor shows", async () => {
    const texts = ["a", "é 🙂", "c", "d", "e"].map(row);
    const jsonl = `\uFEFF${texts[0]}\n\n${texts[1]}\r\n${texts[2]}\n${texts[3]}\n\n \n${texts[4]}\n\n\n`;
    const id = await createDataset(server, "pages", jsonl);
    for (const first of [1, 2, 3, 5, 100]) {
      const pages = await allPages(id, first);
      expect(pages).toHaveLength(Math.ceil(5 / first));
      const seen = pages.flatMap((page) => page.rows);
      expect(seen.map(({ text }) => text.trimEnd())).toEqual(texts);
      expect(seen.map(({ line }) => line)).toEqual([1, 3, 4, 5, 8]);
      expect(seen.every(({ cut }) => !cut)).toBe(true);
    }
  });

  test("a page of long rows has fewer, and of a row of megabytes the beginning", async () => {
    // No text of a row may be that long without white space.
    const long = "word ".repeat(600_000);
    const id = await upload([row("first"), row(long), row("last")].join("\n"));
    const pages = await allPages(id, 10);
    expect(pages.map((page) => page.rows.map(({ line, cut }) => [line, cut]))).toEqual([
      [[1, false]],
      [
        [2, true],
        [3, false],
      ],
    ]);
    expect(pages[1]?.rows[0]).toMatchObject({ bytes: row(long).length, text: row(long).slice(0, 65_536) });
  });

  test.each(["nonsense", "1:5", "0:0", "2:99999999999", "1:1"])("refuses the cursor %s", async (after) => {
    const id = await createDataset(server);
    const { errors } = await server.gql(query, { id, after });
    expect(errors?.[0]?.extensions).toMatchObject({ code: "INVALID_ARGUMENT", issues: [{ field: "after" }] });
  });

  test("rows that were deleted are not found", async () => {
    const run = await createFineTune(server);
    await (await FakeWorker.claim(server.store)).succeed();
    const { datasetId } = (await server.store.fineTunes.get(rowId(run))) ?? expect.unreachable("it was created");
    await server.store.datasets.delete(datasetId);
    const { errors } = await server.gql(
      "query ($id: ID!) { fineTune(id: $id) { dataset { storedRows { endCursor } } } }",
      { id: run },
    );
    expect(errors?.[0]?.extensions.code).toBe("NOT_FOUND");
  });

  test("a model sees the rows after a cursor, with their lines", async () => {
    const id = await createDataset(server, "seen", [row("a"), "", row("b"), row("long ".repeat(20))].join("\n"));
    const { endCursor } = await pageOf(id, { first: 1 });
    const input = { baseModel: "bytes", dataset: id, after: endCursor };
    const preview =
      "query ($input: PreviewRowsInput!) { previewRows(input: $input) { rows { line text issues { line } } } }";
    expect(await server.ask(preview, { input })).toEqual({
      previewRows: {
        rows: [
          { line: 3, text: "b yes", issues: [] },
          { line: 4, text: `${"long ".repeat(20)} yes`, issues: [{ line: 4 }] },
        ],
      },
    });
    const inline = await server.gql(preview, { input: { baseModel: "bytes", jsonl: row("a"), after: endCursor } });
    expect(inline.errors?.[0]?.extensions.issues[0]?.field).toBe("input.after");
  });

  test("nothing of them is in the log", async () => {
    const id = await createDataset(server, "private", row("an unusual prompt"));
    await pageOf(id);
    expect(server.logged.join("")).not.toContain("an unusual prompt");
  });
});

test("the rows are downloaded as they are stored, whole or in part", async () => {
  const id = await createDataset(server, "what/ever name", rows(4));
  const { node } = await server.ask<{ node: { url: string } }>(
    "query ($id: ID!) { node(id: $id) { ... on Dataset { url } } }",
    { id },
  );
  const whole = await fetch(node.url);
  expect(await whole.text()).toBe(rows(4));
  expect(whole.headers.get("content-disposition")).toBe('attachment; filename="what-ever-name.jsonl"');
  const part = await fetch(node.url, { headers: { range: "bytes=2-7" } });
  expect([part.status, await part.text()]).toEqual([206, rows(4).slice(2, 8)]);
  expect((await fetch(`${server.url}/datasets/${crypto.randomUUID()}/rows.jsonl`)).status).toBe(404);
});

describe("uses", () => {
  test("each dataset and base model says what uses it, and the runs of one are listed", async () => {
    const [used, other, unused] = [
      await createDataset(server, "used once"),
      await createDataset(server, "other"),
      await createDataset(server, "unused"),
    ];
    await server.store.baseModels.register(modelRow("counted"));
    await chatModel(server, "counted");
    const create = (name: string, datasets: object) =>
      server.ask<{ createFineTune: { fineTune: { id: string } } }>(
        "mutation ($input: CreateFineTuneInput!) { createFineTune(input: $input) { fineTune { id } } }",
        { input: { name, baseModel: "counted", ...datasets } },
      );
    await create("both", { dataset: used, validationDataset: used });
    await create("validated", { dataset: other, validationDataset: used });
    const measured = await server.ask<{ createEvaluation: { evaluation: { id: string } } }>(
      "mutation ($input: CreateEvaluationInput!) { createEvaluation(input: $input) { evaluation { id } } }",
      { input: { model: { name: "counted" }, dataset: used } },
    );
    const asked = await server.ask(
      `query ($used: ID!, $ids: [ID!]!) {
        nodes(ids: $ids) { ... on Dataset { name uses { fineTunes evaluations unfinished } evaluations { nodes { id } } } }
        fineTunes(filter: { dataset: $used }) { totalCount nodes { name } }
        baseModel(name: "counted") { chatTemplate uses { fineTunes evaluations unfinished } }
        unknown: baseModel(name: "unknown") { id }
      }`,
      { used, ids: [used, other, unused] },
    );
    const evaluation = { id: measured.createEvaluation.evaluation.id };
    expect(asked).toEqual({
      nodes: [
        {
          name: "used once",
          uses: { fineTunes: 2, evaluations: 1, unfinished: 3 },
          evaluations: { nodes: [evaluation] },
        },
        { name: "other", uses: { fineTunes: 1, evaluations: 0, unfinished: 1 }, evaluations: { nodes: [] } },
        { name: "unused", uses: { fineTunes: 0, evaluations: 0, unfinished: 0 }, evaluations: { nodes: [] } },
      ],
      fineTunes: { totalCount: 2, nodes: [{ name: "validated" }, { name: "both" }] },
      baseModel: { chatTemplate: true, uses: { fineTunes: 2, evaluations: 1, unfinished: 3 } },
      unknown: null,
    });
    const { id: projectId } = await server.store.of(operator).administration.createProject("other");
    const others = server.store.of({ ...operator, projectId });
    const none = [{ fineTunes: 0, evaluations: 0, unfinished: 0 }];
    expect(await others.datasets.uses([rowId(used)])).toEqual(none);
    expect(await others.evaluations.listOfDataset(rowId(used), { limit: 1 })).toEqual([]);
    const counted = (await others.baseModels.getByName("counted")) ?? expect.unreachable("it is registered");
    expect(await others.baseModels.uses([counted.id])).toEqual(none);
  });

  test("a base model names the workers that have it, and whether it takes conversations", async () => {
    const about = { id: crypto.randomUUID(), name: "has all", device: "plain: a test", version: "1.2.3" };
    await server.store.workers.report({ ...about, ...(await everything(server.store)) });
    await server.store.workers.report({
      ...about,
      ...(await everything(server.store)),
      id: crypto.randomUUID(),
      name: "none",
      models: [],
    });
    await server.store.baseModels.register(modelRow("nowhere"));
    const { baseModels } = await server.ask<{ baseModels: { nodes: { name: string }[] } }>(
      "{ baseModels { nodes { name chatTemplate workers { name } } } }",
    );
    expect(baseModels.nodes).toContainEqual({ name: "bytes", chatTemplate: false, workers: [{ name: "has all" }] });
    expect(baseModels.nodes).toContainEqual({ name: "nowhere", chatTemplate: null, workers: [] });
  });

  test("datasets are found by a part of their name", async () => {
    await createDataset(server, "100%_Sure");
    const find = (name: string) =>
      server.ask("query ($name: String!) { datasets(name: $name) { totalCount nodes { name } } }", { name });
    expect(await find("%_s")).toEqual({ datasets: { totalCount: 1, nodes: [{ name: "100%_Sure" }] } });
    expect(await find("%%")).toEqual({ datasets: { totalCount: 0, nodes: [] } });
  });
});
