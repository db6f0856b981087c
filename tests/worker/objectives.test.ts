/** Each objective lowers what it says: on the demo's rows, and for a masked model on rows of its own. */
import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { initModel } from "../../engine/model/random-weights.ts";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import { encodeHeader } from "../../schema/step-log.ts";
import { golden, scratch } from "../support/models.ts";
import { remember } from "../support/remember.ts";
import { messagesOf, ofType, run } from "./run.ts";

const unmoved = (messages: Awaited<ReturnType<typeof messagesOf>>) =>
  ofType(messages, "step").filter(({ entries }) => entries.every(({ scalar }) => scalar === 0)).length;

test.each([
  ["CLASSIFICATION", { learningRate: 3e-4, steps: 100 }],
  ["ACCURACY", { learningRate: 1e-3, epsilon: 3e-2, batchSize: 64, steps: 60 }],
] as const)("%s learns the demo's task, which its base does not know", async (objective, settings) => {
  const { evaluations, messages } = await run({ ...settings, objective, seed: 1 });
  const [before, after] = evaluations.map(({ accuracy }) => accuracy);
  expect(before).toBeLessThan(0.55);
  expect(after).toBeGreaterThan(0.95);
  const [first] = ofType(messages, "step");
  if (objective === "ACCURACY") {
    expect(first?.loss).toBeCloseTo(0.5, 0);
    expect(unmoved(messages)).toBeGreaterThan(0);
  } else {
    expect(first?.loss).toBeLessThan(2);
    expect(unmoved(messages)).toBe(0);
  }
});

const answers = { answerTokens: 2, seed: 1 };
const parentOf = remember(() => run({ ...answers, learningRate: 3e-5, steps: 200 }));

test.each(["F1", "EXACT_MATCH"] as const)("%s makes the answers better that the model writes", async (objective) => {
  const parent = await parentOf("both");
  const fork = { headerBytes: encodeHeader(parent.header), firstStep: 0 };
  const settings = { ...answers, objective, learningRate: 3e-4, epsilon: 1e-2, batchSize: 32, steps: 40 };
  const { evaluations } = await run(settings, { fork, entries: parent.entries, stepsDone: 0 });
  const of = objective === "F1" ? "f1" : "exactMatch";
  const [before, after] = evaluations.map((one) => one[of] ?? NaN);
  expect(before).toBe(parent.evaluations.at(-1)?.[of]);
  expect(before).toBeLessThan(0.9);
  expect(after).toBeGreaterThan((before ?? NaN) + 0.1);
});

test("a calibration prompt changes how candidates are judged, by rows' own candidates too", async () => {
  const plain = await run({ steps: 1 });
  const calibrated = await run({ steps: 1 }, { calibrationPrompt: " It was" });
  expect(calibrated.evaluations[0]?.loss).toBe(plain.evaluations[0]?.loss);
  expect(calibrated.evaluations[0]?.accuracy).not.toBe(plain.evaluations[0]?.accuracy);

  const path = join(await scratch(), "rows.jsonl");
  const row = {
    prompt: "The film was dull. It was",
    completion: " terrible",
    candidates: [" great", " terrible", " fine"],
  };
  await writeFile(path, `${JSON.stringify(row)}\n`);
  const own = await run(
    { steps: 1, objective: "CLASSIFICATION" },
    { labelWords: [], datasetPath: path, validationPath: path },
  );
  expect([0, 1]).toContain(own.evaluations[0]?.accuracy);
});

test("rows that an objective cannot use are named", async () => {
  await expect(messagesOf({ objective: "ACCURACY", steps: 1 }, { labelWords: [] })).rejects.toMatchObject({
    code: "DATASET_INVALID",
    message: /line 1: the objective needs candidates/u,
  });
});

test("a masked model learns which word its mask stands for", async () => {
  const folder = await scratch();
  const out = join(folder, "roberta");
  const config = {
    model_type: "roberta",
    vocab_size: 600,
    hidden_size: 32,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    intermediate_size: 64,
    max_position_embeddings: 40,
    pad_token_id: 1,
    initializer_range: 0.2,
  };
  await initModel({ config, seed: 1, dtype: "F32", out });
  for (const file of ["tokenizer.json", "tokenizer_config.json"]) {
    await copyFile(golden("tokenizers", "bytelevel-roberta", file), join(out, file));
  }
  const words = ["crane", "reading", "containers"];
  const rows = Array.from({ length: 90 }, (_, i) => {
    const good = i % 2 === 0;
    const prompt = `the ${words[i % 3]} ${good ? "al" : "tw"} ${words[(i * 7) % 3]} was<mask> ${i % 5}`;
    return JSON.stringify({ prompt, completion: good ? " read" : " be" });
  });
  const [training, validation] = [join(folder, "training.jsonl"), join(folder, "validation.jsonl")];
  await writeFile(training, rows.slice(0, 60).join("\n"));
  await writeFile(validation, rows.slice(60).join("\n"));
  const changes = {
    modelPath: out,
    base: await baseHash(await openModelFolder(out)),
    datasetPath: training,
    validationPath: validation,
    labelWords: [" read", " be"],
  };
  const { evaluations } = await run(
    { objective: "CLASSIFICATION", learningRate: 1e-3, steps: 1_000, seed: 1 },
    changes,
  );
  const [before, after] = evaluations.map(({ accuracy }) => accuracy);
  expect(before).toBeLessThan(0.7);
  expect(after).toBeGreaterThan(0.95);
});
