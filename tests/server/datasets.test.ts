/** Datasets as the API creates and previews them. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createDataset,
  createFineTuneMutation,
  type CreatedFineTune,
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

test("inline rows are stored under their hash", async () => {
  const jsonl = rows(5);
  const { createDataset: dataset } = await server.ask<{ createDataset: { sha256: string } }>(
    "mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { name rows bytes sha256 } }",
    { input: { name: "five", jsonl } },
  );
  expect(dataset).toMatchObject({ name: "five", rows: 5, bytes: jsonl.length });
  const chunks = await (await server.store.blobs.open(dataset.sha256)).toArray();
  expect(Buffer.concat(chunks.map((chunk) => Buffer.from(chunk as Uint8Array))).toString()).toBe(jsonl);
});

test("rows of a known task are converted, split and sampled before they are stored", async () => {
  const mutation = "mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { id rows } }";
  const jsonl = Array.from({ length: 40 }, (_, i) => JSON.stringify({ sentence: `film ${i}`, label: i % 2 })).join(
    "\n",
  );
  const rowsOf = async (prepare: object) => {
    const { createDataset: stored } = await server.ask<{ createDataset: { rows: number; id: string } }>(mutation, {
      input: { name: "sst", jsonl, prepare },
    });
    return stored;
  };
  expect(await rowsOf({ preset: "SST2" })).toMatchObject({ rows: 40 });
  const parts = await Promise.all(
    ["TRAINING", "VALIDATION"].map(async (part) => (await rowsOf({ preset: "SST2", part, validationShare: 0.5 })).rows),
  );
  expect((parts[0] ?? 0) + (parts[1] ?? 0)).toBe(40);
  const template = {
    prompt: "{sentence} was",
    labels: [
      { value: "0", completion: " bad" },
      { value: "1", completion: " good" },
    ],
  };
  const { id, rows: count } = await rowsOf({ template, perClass: 3 });
  expect(count).toBe(6);
  const input = { name: "choice", baseModel: "bytes", dataset: id, hyperparameters: { objective: "CLASSIFICATION" } };
  const { createFineTune: run } = await server.ask<CreatedFineTune>(createFineTuneMutation, { input });
  await server.store.fineTunes.cancel(rowId(run.fineTune.id));

  const wrong = await server.gql(mutation, { input: { name: "sst", jsonl, prepare: { preset: "RTE" } } });
  expect(wrong.errors?.[0]?.extensions).toMatchObject({ code: "DATASET_INVALID" });
  const both = await server.gql(mutation, { input: { name: "sst", jsonl, prepare: { preset: "RTE", template } } });
  expect(both.errors?.[0]?.extensions).toMatchObject({ issues: [{ field: "input.prepare.preset" }] });
  const { datasetPresets } = await server.ask<{ datasetPresets: { name: string }[] }>(
    "{ datasetPresets { name fields prompt completions metric } }",
  );
  expect(datasetPresets).toHaveLength(17);
});

test("a dataset's key with the same name and rows returns the first one; other rows are a conflict", async () => {
  const create = (input: object) =>
    server.gql<{ createDataset: { id: string } }>(
      "mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { id } }",
      { input: { idempotencyKey: "rows", name: "keyed", jsonl: rows(2), ...input } },
    );
  const first = await create({});
  expect((await create({})).data).toEqual(first.data);
  expect((await create({ jsonl: rows(3) })).errors?.[0]?.extensions.code).toBe("CONFLICT");
  expect((await create({ name: "other" })).errors?.[0]?.extensions.code).toBe("CONFLICT");
  // An upload is gone after its first use, and a repeated request still gets the dataset.
  expect((await create({ jsonl: null, uploadId: "gone" })).data).toEqual(first.data);
  expect((await create({ jsonl: null, uploadId: "gone", idempotencyKey: "new" })).errors).toHaveLength(1);
  const url = `${server.url}/datasets?name=keyed&idempotencyKey=rows`;
  const posted = await fetch(url, { method: "POST", body: rows(2) });
  expect(await posted.json()).toMatchObject({ id: first.data?.createDataset.id });
});

const query = `query ($input: PreviewRowsInput!) { previewRows(input: $input) {
  rows { line text tokens { text scored target } length scored issues { line field message } }
  counted refused issues { line } tokens { total scored min max mean } notes } }`;

interface Seen {
  readonly previewRows: {
    readonly rows: readonly {
      readonly line: number;
      readonly text: string | null;
      readonly tokens: readonly { readonly text: string; readonly scored: boolean }[];
      readonly issues: readonly object[];
    }[];
  };
}

describe("previewRows", () => {
  test("a stored dataset is shown as the model sees it", async () => {
    const dataset = await createDataset(
      server,
      "seen",
      '{"prompt":"ab","completion":" c"}\n{"prompt":"d","completion":"e"}',
    );
    const { previewRows } = await server.ask<Seen>(query, { input: { baseModel: "bytes", dataset, rows: 1 } });
    expect(previewRows).toMatchObject({
      rows: [{ line: 1, text: "ab c", length: 4, scored: 2, issues: [] }],
      counted: 2,
      refused: 0,
      issues: [],
      tokens: { total: 6, scored: 3, min: 2, max: 4, mean: 3 },
      notes: [expect.stringMatching(/"e" becomes the tokens "e"; .* Write " e"\.$/u)],
    });
    expect(previewRows.rows[0]?.tokens.map(({ text, scored }) => [text, scored])).toStrictEqual([
      ["a", false],
      ["b", false],
      [" ", true],
      ["c", true],
    ]);
  });

  test("inline rows are shown, prepared if asked for, with the reasons of those that would be refused", async () => {
    const jsonl = [
      '{"prompt":"a","completion":" yes"}',
      `{"prompt":"${"long ".repeat(20)}","completion":" yes"}`,
      "nonsense",
      '{"prompt":"a","completion":" maybe"}',
    ].join("\n");
    const { previewRows } = await server.ask<Seen>(query, {
      input: { baseModel: "bytes", jsonl, labelWords: [" yes", " no"] },
    });
    expect(previewRows).toMatchObject({ counted: 4, refused: 3, issues: [{ line: 2 }, { line: 3 }, { line: 4 }] });
    expect(previewRows.rows.map(({ issues }) => issues.length)).toStrictEqual([0, 1, 1, 1]);
    const csv = "sentence,label\ngood film,1\n";
    const prepared = await server.ask<Seen>(query, {
      input: { baseModel: "bytes", jsonl: csv, prepare: { preset: "SST2" } },
    });
    expect(prepared.previewRows.rows).toMatchObject([{ text: "good film It was great" }]);
  });

  test.each([
    ["no model", { jsonl: "x" }, "INVALID_ARGUMENT", "input.baseModel"],
    ["an unknown model", { baseModel: "none", jsonl: "x" }, "NOT_FOUND", "input.baseModel"],
    ["no rows", { baseModel: "bytes" }, "INVALID_ARGUMENT", "input.dataset"],
    ["an unknown dataset", { baseModel: "bytes", dataset: "RGF0YXNldDoxMjM=" }, undefined, undefined],
    ["too many rows to show", { baseModel: "bytes", jsonl: "x", rows: 11 }, "INVALID_ARGUMENT", "input.rows"],
    ["an array", { baseModel: "bytes", jsonl: "[{}]" }, "DATASET_INVALID", undefined],
  ])("is refused for %s", async (_, input, code, field) => {
    const { errors } = await server.gql(query, { input });
    const { extensions } = errors?.[0] ?? {};
    if (code === undefined) expect(["NOT_FOUND", "INVALID_ARGUMENT"]).toContain(extensions?.code);
    else expect(extensions?.code).toBe(code);
    if (field !== undefined) expect(extensions?.issues[0]?.field).toBe(field);
  });
});
