/** Every setting of the table has values that are refused, by the API and by the command line, and both name the setting. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { settingsOf } from "../../cli/commands/fork.ts";
import { parseFile, runFields } from "../../cli/run-file.ts";
import { asSteplogError } from "../../schema/errors.ts";
import { hyperparameterEntries } from "../../schema/hyperparameter-table.ts";
import { refusedValues } from "../support/refused-values.ts";
import type { TestServer } from "./harness.ts";
import { createDataset, createFineTuneMutation, testServer } from "./harness.ts";

let server: TestServer;
let dataset: string;
beforeAll(async () => {
  server = await testServer();
  dataset = await createDataset(server);
});
afterAll(() => server.dispose());

const cases = hyperparameterEntries.flatMap(([name, one]) => refusedValues(one).map((value) => [name, value] as const));

/** The setting that an issue's field is about, without the place of a name in a list. */
const settingOf = (field: string | undefined) => /hyperparameters\.(\w+)/u.exec(field ?? "")?.[1];

async function refusal(input: object) {
  const { errors } = await server.gql(createFineTuneMutation, {
    input: { name: "x", baseModel: "bytes", dataset, ...input },
  });
  return errors?.[0];
}

test.each(cases)("the API refuses %s = %j and names it", async (name, value) => {
  const error = await refusal({ hyperparameters: { [name]: value } });
  expect(error?.extensions.code).toBe("INVALID_ARGUMENT");
  const fields = error?.extensions.issues.map(({ field }) => field) ?? [];
  expect(fields.map((field) => settingOf(field))).toEqual([name]);
  expect(fields[0]).toMatch(/^input\.hyperparameters\./u);
  expect(error?.message).toContain(`input.hyperparameters.${name}`);
});

function refusedByCommand(run: () => unknown): readonly (string | undefined)[] {
  try {
    run();
  } catch (error) {
    const { code, issues } = asSteplogError(error);
    expect(code).toBe("INVALID_ARGUMENT");
    return issues.map(({ field }) => settingOf(field));
  }
  return [];
}

test.each(cases)("a file for steplog tune with %s = %j is refused, and the setting named", (name, value) => {
  const file = { hyperparameters: { [name]: value } };
  const read = () => parseFile(z.strictObject(runFields), { file: "run.json", value: file, what: "a fine-tune" });
  expect(refusedByCommand(read)).toEqual([name]);
});

test("--set of a name that is no setting is refused; the service judges the values", () => {
  expect(() => settingsOf(["momentum=1"])).toThrow(/momentum=1 names no setting/u);
});

/** Settings, or other fields, that the run would not use; with what else is given, and the field that is named. */
const unused: readonly (readonly [string, object, string])[] = [
  ["tensors of a head", { hyperparameters: { method: "HEAD", tensors: ["bias"] } }, "hyperparameters.tensors"],
  ["a rank without adapters", { hyperparameters: { loraRank: 4 } }, "hyperparameters.loraRank"],
  ["alpha without adapters", { hyperparameters: { method: "PREFIX", loraAlpha: 4 } }, "hyperparameters.loraAlpha"],
  ["targets without adapters", { hyperparameters: { loraTargets: ["q_proj"] } }, "hyperparameters.loraTargets"],
  [
    "a length without a prefix",
    { hyperparameters: { method: "LORA", prefixLength: 9 } },
    "hyperparameters.prefixLength",
  ],
  ["evaluations of no rows", { hyperparameters: { evaluateEvery: 9 } }, "hyperparameters.evaluateEvery"],
  ["answers that nothing scores", { hyperparameters: { answerTokens: 9 } }, "hyperparameters.answerTokens"],
  ["a calibration of nothing", { calibrationPrompt: "It was" }, "calibrationPrompt"],
  ["one label word", { labelWords: [" bad"] }, "labelWords"],
  ["a label word twice", { labelWords: [" bad", " good", " bad"] }, "labelWords.2"],
];

test.each(unused)("the API refuses %s, and an estimate tells it", async (_, given, field) => {
  const error = await refusal(given);
  expect(error?.extensions).toMatchObject({ code: "INVALID_ARGUMENT", issues: [{ field: `input.${field}` }] });
  const input = { name: "x", baseModel: "bytes", dataset, ...given };
  const { data, errors } = await server.gql<{ estimateFineTune: { errors: { issues: { field: string }[] }[] } }>(
    "query ($input: CreateFineTuneInput!) { estimateFineTune(input: $input) { errors { issues { field } } } }",
    { input },
  );
  const told = data?.estimateFineTune.errors ?? errors?.map(({ extensions }) => extensions);
  expect(told?.flatMap(({ issues }) => issues.map((issue) => issue.field))).toEqual([`input.${field}`]);
});

test("every setting that only some runs use is refused in others", () => {
  const some = hyperparameterEntries.filter(([, one]) => one.method !== undefined || one.unusedWithout !== undefined);
  const tried = new Set(unused.map(([, , field]) => settingOf(field)));
  expect(some.map(([name]) => name).filter((name) => !tried.has(name))).toEqual([]);
});

test("a linear probe of rows without classes is refused before there is a run", async () => {
  const error = await refusal({ validationDataset: dataset, hyperparameters: { linearProbe: true } });
  expect(error?.extensions).toMatchObject({ issues: [{ field: "input.hyperparameters.linearProbe" }] });
  expect(error?.message).toContain("the training rows have none");
});

describe("what has the value of its default, or another run of the sweep uses", () => {
  test("is taken", async () => {
    const defaults = { loraRank: 8, loraAlpha: 16, tensors: [], loraTargets: [], prefixLength: 5, evaluateEvery: 0 };
    expect(await refusal({ hyperparameters: { ...defaults, answerTokens: 0 } })).toBeUndefined();
    expect(await refusal({ testDataset: dataset, hyperparameters: { answerTokens: 4 } })).toBeUndefined();
    expect(await refusal({ validationDataset: dataset, hyperparameters: { evaluateEvery: 4 } })).toBeUndefined();
    expect(await refusal({ hyperparameters: { objective: "F1", answerTokens: 4 } })).toBeUndefined();
  });

  test("is taken of a sweep, but not if no run uses it, or the run itself names it", async () => {
    const sweep = async (hyperparameters: object, vary: object) => {
      const run = { name: "s", baseModel: "bytes", dataset, hyperparameters };
      const { errors } = await server.gql(
        "mutation ($input: CreateSweepInput!) { createSweep(input: $input) { sweep { id } } }",
        { input: { name: "s", run, vary } },
      );
      return errors?.[0]?.extensions.issues.map(({ field }) => field);
    };
    expect(await sweep({ loraRank: 4 }, { grid: { method: ["FULL", "LORA"] } })).toBeUndefined();
    const field = "input.run.hyperparameters.loraRank";
    expect(await sweep({ loraRank: 4 }, { grid: { method: ["FULL", "HEAD"] } })).toEqual([field]);
    expect(await sweep({}, { grid: { method: ["FULL", "LORA"], loraRank: [2, 4] } })).toEqual([field]);
    expect(await sweep({}, { list: [{ method: "LORA", loraRank: 4 }, { method: "HEAD" }] })).toBeUndefined();
  });
});
