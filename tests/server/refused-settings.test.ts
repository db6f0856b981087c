/** Every setting of the table has values that are refused, by the API and by the command line, and both name the setting. */
import { afterAll, beforeAll, expect, test } from "vitest";
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
