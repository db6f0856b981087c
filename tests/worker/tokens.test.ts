/** The tokens that a step trains on: those of its rows, once, however many passes it takes. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { loadTokenizer } from "../../dataset/tokenizer.ts";
import { encodeText } from "../../dataset/encode.ts";
import { scratch } from "../support/models.ts";
import { demo, messagesOf, modelPath } from "./run.ts";

const few = { steps: 2, batchSize: 3, noise: "RADEMACHER", learningRate: 1e-6, evaluateEvery: 0 } as const;

async function tokensOf(settings: object, datasetPath = demo("train.jsonl")): Promise<number[]> {
  const messages = await messagesOf({ ...few, ...settings }, { validationPath: null, datasetPath });
  return messages.flatMap((message) => (message.type === "step" ? [message.tokens] : []));
}

test("are those of its rows", async () => {
  const lines = (await readFile(demo("train.jsonl"), "utf8")).trim().split("\n");
  const tokenizer = await loadTokenizer(modelPath);
  const rows = lines.map((line) => JSON.parse(line) as { prompt: string; completion: string });
  const lengths = rows.map(
    ({ prompt, completion }) => encodeText(tokenizer, prompt, completion, "causal", null).ids.length,
  );
  const all = lengths.reduce((sum, length) => sum + length, 0);
  const [first, second] = await tokensOf({ batchSize: rows.length });
  expect([first, second]).toEqual([all, all]);
});

test("are those of each step's own rows, whatever the estimator", async () => {
  const datasetPath = join(await scratch(), "rows.jsonl");
  const lines = Array.from({ length: 6 }, (_, index) =>
    JSON.stringify({ prompt: "good ".repeat(3 ** index % 50), completion: " great" }),
  );
  await writeFile(datasetPath, lines.join("\n"));
  const [whole = 0, next] = await tokensOf({ batchSize: 6 }, datasetPath);
  const parts = await tokensOf({ steps: 3, batchSize: 2 }, datasetPath);
  expect(new Set(parts).size).toBe(3);
  expect(parts.reduce((sum, one) => sum + one, 0)).toBe(whole);
  expect(next).toBe(whole);
  expect(await tokensOf({ steps: 3, batchSize: 2, estimator: "FZOO", estimates: 4 }, datasetPath)).toEqual(parts);
});
