/** previewRows: what a model sees of rows, before a run is created. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { createDataset, testServer, type TestServer } from "./harness.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.dispose());

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
    notes: [],
  });
  expect(previewRows.rows[0]?.tokens.map(({ text, scored }) => [text, scored])).toStrictEqual([
    ["a", false],
    ["b", false],
    [" ", true],
    ["c", true],
  ]);
});

test("inline rows are shown, prepared if asked for, with the reasons of those that would be refused", async () => {
  const jsonl = `{"prompt":"a","completion":" yes"}\n{"prompt":"${"long ".repeat(20)}","completion":" yes"}\nnonsense`;
  const { previewRows } = await server.ask<Seen>(query, {
    input: { baseModel: "bytes", jsonl, labelWords: [" yes", " no"] },
  });
  expect(previewRows).toMatchObject({ counted: 3, refused: 2, issues: [{ line: 2 }, { line: 3 }] });
  expect(previewRows.rows.map(({ issues }) => issues.length)).toStrictEqual([0, 1, 1]);
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
