/** Files of runs can say all that the API takes: what the page copies as a command is one of them. */
import { readFile } from "node:fs/promises";
import { buildSchema, isInputObjectType } from "graphql";
import { expect, test, vi } from "vitest";
import { z } from "zod";
import { runFields } from "../../cli/run-file.ts";
import { packagePath } from "../../schema/package.ts";

test("a file has every field of createFineTune", async () => {
  const schema = buildSchema(await readFile(packagePath("schema/api.graphql"), "utf8"));
  const input = schema.getType("CreateFineTuneInput");
  const fields = isInputObjectType(input) ? Object.keys(input.getFields()) : [];
  // Given to one run or one sweep, beside what its runs share.
  expect([...Object.keys(runFields), "idempotencyKey"].toSorted()).toEqual(fields.toSorted());
});

test("what the page copies is understood", async () => {
  vi.stubGlobal("document", { baseURI: "http://127.0.0.1:4000/" });
  vi.stubGlobal("location", new URL("http://127.0.0.1:4000/"));
  const { fileOf } = await import("../../dashboard/src/new/file.ts").finally(() => vi.unstubAllGlobals());
  const run = {
    name: "mail",
    baseModel: "demo",
    dataset: "RGF0YXNldDox",
    labelWords: [" good", " bad"],
    calibrationPrompt: "It was",
    tags: ["mail"],
    metadata: [{ key: "owner", value: "ann" }],
    priority: 3,
    expiry: { ttl: 60 },
    keepWeights: true,
    hyperparameters: { steps: 5 },
  };
  const { dataset, ...rest } = run;
  expect(z.strictObject(runFields).parse(fileOf(run))).toEqual({ ...rest, dataset: { id: dataset } });
});
