/** A run whose rows are longer than the model's context trains, evaluates and asks with the same cut prompts. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { roomIn } from "../../dataset/encode.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { unwatchedCalls } from "../../engine/thread/foreign.ts";
import { readData } from "../../engine/train/data.ts";
import type { Hyperparameters } from "../../schema/hyperparameters.ts";
import { hyperparametersSchema } from "../../schema/hyperparameters.ts";
import { packagePath } from "../../schema/package.ts";
import { scratch } from "../support/models.ts";

test("training, validation, test and in-context rows are cut by one rule", async () => {
  const folder = await openModelFolder(packagePath("demo/base"));
  const file = join(await scratch(), "rows.jsonl");
  const row = (words: number, completion: string) => ({ prompt: `${"so good ".repeat(words)}It was`, completion });
  const rows = [row(300, " great"), row(1, " great"), row(200, " terrible"), row(400, " terrible")];
  await writeFile(file, rows.map((one) => JSON.stringify(one)).join("\n"));
  const read = (settings: Partial<Hyperparameters>) => {
    const request = {
      datasetPath: file,
      validationPath: file,
      testPath: file,
      labelWords: [" great", " terrible"],
      calibrationPrompt: null,
      hyperparameters: hyperparametersSchema.parse({ method: "PREFIX", prefixLength: 7, ...settings }),
    };
    return readData(request, folder, { now() {} }, unwatchedCalls);
  };
  const settings = { objective: "CLASSIFICATION", answerTokens: 4, inContextRows: 2 } as const;
  await expect(read(settings)).rejects.toThrow(/^3 rows do not fit the model/u);

  const room = roomIn({ ...folder.architecture, taken: 7 });
  const { objective, validation, test: tested, inContext } = await read({ ...settings, truncate: "START" });
  expect(objective.count).toBe(4);
  expect(tested).toStrictEqual(validation);
  for (const set of [validation, inContext]) {
    const lengths = set?.choices.map((choice) => Math.max(...choice.rows.map(({ ids }) => ids.length)));
    expect(lengths?.filter((length) => length === room)).toHaveLength(3);
    expect(set?.questions.map(({ prompt }) => prompt.length < room)).toStrictEqual([true, true, true, true]);
  }
  // A prompt that is cut has no room for examples.
  expect(inContext?.choices[0]).toStrictEqual(validation?.choices[0]);
  const { validation: other } = await read({ ...settings, truncate: "END" });
  expect(other?.choices[0]).not.toStrictEqual(validation?.choices[0]);
});
