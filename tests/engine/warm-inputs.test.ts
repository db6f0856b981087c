/** A thread keeps the tokenizer and rows of the run before for the next one: as long as the files and the rules are the same. */
import { cp, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { unwatchedCalls } from "../../engine/thread/foreign.ts";
import { readData } from "../../engine/train/data.ts";
import { WarmInputs } from "../../engine/train/warm-inputs.ts";
import { hyperparametersSchema } from "../../schema/hyperparameters.ts";
import { packagePath } from "../../schema/package.ts";
import { scratch } from "../support/models.ts";

const soonMs = 10_000;

async function runOn(warm: WarmInputs) {
  const base = join(await scratch(), "base");
  await cp(packagePath("demo/base"), base, { recursive: true });
  const datasetPath = join(await scratch(), "rows.jsonl");
  const write = (completion: string) => writeFile(datasetPath, JSON.stringify({ prompt: "It was", completion }));
  await write(" great");
  const folder = await openModelFolder(base);
  let [texts, rows] = [0, 0];
  const calls = { begin: () => void (texts += 1), end() {} };
  const check = { now: () => void (rows += 1) };
  /** How many rows it reads, and whether it calls the tokenizer for them; and what they are. */
  const read = async (more: { labelWords?: string[]; validationPath?: string } = {}) => {
    [texts, rows] = [0, 0];
    const request = {
      datasetPath,
      validationPath: null,
      testPath: null,
      labelWords: [],
      calibrationPrompt: null,
      ...more,
      hyperparameters: hyperparametersSchema.parse({}),
    };
    const data = await readData(request, folder, check, calls, warm);
    return { rows, tokenises: texts > 0, tokens: data.tokens.training };
  };
  return { base, datasetPath, write, read, folder };
}

test("rows of the same files under the same rules are read once, others anew", async () => {
  const { read, datasetPath } = await runOn(new WarmInputs(() => Date.now() + soonMs));
  const first = await read();
  expect(first).toMatchObject({ rows: 1, tokenises: true });
  expect(await read()).toEqual({ ...first, rows: 0, tokenises: false });
  const validationPath = join(await scratch(), "validation.jsonl");
  await cp(datasetPath, validationPath);
  expect(await read({ validationPath })).toMatchObject({ rows: 1 });
  expect(await read({ validationPath })).toMatchObject({ rows: 0 });
  expect(await read({ labelWords: [" great", " bad"] })).toMatchObject({ rows: 1 });
  // What a run did not use is forgotten.
  expect(await read()).toMatchObject({ rows: 1 });
});

test("a dataset or a tokenizer that has changed is read again, whatever its times say", async () => {
  const { read, write, base, datasetPath } = await runOn(new WarmInputs(() => Date.now() + soonMs));
  const first = await read();
  await write(" great, and so it went on");
  await utimes(datasetPath, new Date(0), new Date(0));
  const second = await read();
  expect(second).toMatchObject({ rows: 1 });
  expect(second.tokens.tokens).toBeGreaterThan(first.tokens.tokens);
  await read();
  await writeFile(join(base, "special_tokens_map.json"), "{}");
  expect(await read()).toMatchObject({ rows: 1, tokenises: true });
});

test("files younger than a tick of a file system's clock are not kept", async () => {
  const { read } = await runOn(new WarmInputs());
  await read();
  expect(await read()).toMatchObject({ rows: 1, tokenises: true });
});

test("evaluations of the same rows give the same as those of rows read anew", async () => {
  const warm = new WarmInputs(() => Date.now() + soonMs);
  const { folder, datasetPath } = await runOn(warm);
  const request = {
    datasetPath,
    validationPath: datasetPath,
    testPath: datasetPath,
    labelWords: [],
    calibrationPrompt: null,
    hyperparameters: hyperparametersSchema.parse({
      inContextRows: 1,
      answerTokens: 2,
    }),
  };
  const read = (inputs: WarmInputs) => readData(request, folder, { now() {} }, unwatchedCalls, inputs);
  const first = await read(warm);
  const [kept, anew] = [await read(warm), await read(new WarmInputs())];
  const rowsOf = ({ validation, inContext, test: tested, lengths }: typeof first) =>
    [validation, inContext, tested].map((set) => [
      set?.rows,
      set?.encoded,
      set?.questions.map(({ prompt }) => prompt),
      lengths,
    ]);
  expect(rowsOf(first)).toEqual(rowsOf(anew));
  expect(rowsOf(kept)).toEqual(rowsOf(anew));
});
