/** What a run says about the conversations that it learns from. */
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { scratch } from "../support/models.ts";
import { messagesOf, modelPath, ofType } from "./run.ts";

const messages = [
  { role: "user", content: "The soup was stale. It was" },
  { role: "assistant", content: " terrible" },
];

/** Types of the notes of a run of one step. */
async function notesUnder(template: string): Promise<string[]> {
  const folder = join(await scratch(), "model");
  await cp(modelPath, folder, { recursive: true });
  const path = join(folder, "tokenizer_config.json");
  const config = JSON.parse(await readFile(path, "utf8")) as object;
  await writeFile(path, JSON.stringify({ ...config, chat_template: template }));
  const datasetPath = join(folder, "rows.jsonl");
  await writeFile(datasetPath, JSON.stringify({ messages }));
  const run = await messagesOf(
    { steps: 1, batchSize: 1, learningRate: 1e-6 },
    { modelPath: folder, datasetPath, validationPath: null, labelWords: [] },
  );
  return ofType(run, "note").map(({ event }) => event);
}

test("a run whose turns have no scored end says so, one whose turns end does not", async () => {
  expect(await notesUnder("{% for m in messages %}{{ m.content }}\n{% endfor %}")).toStrictEqual(["NO_END_OF_TURN"]);
  expect(await notesUnder("{% for m in messages %}{{ m.content }}</s>{% endfor %}")).toStrictEqual([]);
});
