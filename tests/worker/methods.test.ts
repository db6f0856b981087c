/** Runs of each method as the worker makes them, on the demo's base and rows: they learn, go on, and come back. */
import { readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { expect, test } from "vitest";
import type { Hyperparameters } from "../../schema/hyperparameters.ts";
import { encodeEntries, encodeHeader } from "../../schema/step-log.ts";
import { runMaterialise } from "../../engine/replay/rebuild.ts";
import { scratch } from "../support/models.ts";
import { demo, device, modelPath, run } from "./run.ts";

const lora: Partial<Hyperparameters> = { method: "LORA", loraTargets: ["fc1", "fc2"], learningRate: 1e-3, seed: 1 };

test.each([
  ["LORA", { method: "LORA", loraTargets: ["fc1", "fc2"], estimator: "FZOO", learningRate: 3e-2, steps: 105, seed: 1 }],
  ["HEAD", { method: "HEAD", learningRate: 1e-4, schedule: "LINEAR", warmupSteps: 20, steps: 500, seed: 1 }],
  ["PREFIX", { method: "PREFIX", estimator: "FZOO", estimates: 8, steps: 400, seed: 2 }],
  ["FULL, by FZOO", { estimator: "FZOO", steps: 105, seed: 1 }],
  ["FULL, by ONE_SIDED", { estimator: "ONE_SIDED", estimates: 4, learningRate: 3e-4, steps: 120, seed: 1 }],
  [
    "FULL, of named tensors",
    { tensors: ["fc1.*", "fc2.*", "embed_tokens.weight"], learningRate: 1e-4, steps: 420, seed: 1 },
  ],
] as const)(
  "%s learns the demo's task, which its base does not know",
  async (name, settings) => {
    const { evaluations, header } = await run(settings);
    expect(header.prefix !== undefined).toBe(name === "PREFIX");
    expect(evaluations.map(({ step }) => step)).toStrictEqual([0, settings.steps]);
    const [before, after] = evaluations.map(({ accuracy }) => accuracy ?? NaN);
    expect(before).toBeLessThan(0.55);
    expect(after).toBeGreaterThan(0.9);
    expect(header.lora).toStrictEqual(
      "method" in settings && settings.method === "LORA" ? { rank: 8, alpha: 16, seed: 1 } : undefined,
    );
  },
  120_000,
);

test("goes on between steps of several entries", async () => {
  const settings = { learningRate: 1e-4, steps: 12, estimates: 1, estimatesAtEnd: 4, seed: 1 };
  const whole = await run(settings);
  const resumed = await run(settings, { entries: whole.entries.slice(0, 10), stepsDone: 6 });
  expect(whole.entries).toHaveLength(30);
  expect(resumed.entries).toStrictEqual(whole.entries.slice(10));
  expect(resumed.checkpoint).toMatchObject({ entries: 30, step: 12, digest: whole.checkpoint?.digest });
});

test("goes on from its log as it would have, and a rebuild gives the files that were trained", async () => {
  const [kept, rebuilt] = [await scratch(), await scratch()];
  const whole = await run({ ...lora, steps: 40 }, { weightsDir: kept });
  const resumed = await run({ ...lora, steps: 40 }, { entries: whole.entries.slice(0, 15) });
  expect(resumed.entries).toStrictEqual(whole.entries.slice(15));
  const { digest, files } = whole.checkpoint ?? { digest: "", files: [] };
  expect(resumed.checkpoint?.digest).toBe(digest);

  const log = encodeEntries(whole.header, whole.entries);
  const request = {
    kind: "MATERIALISE",
    modelPath,
    hashesDir: join(rebuilt, "hashes"),
    log,
    digest,
    weightsDir: rebuilt,
  } as const;
  const answer = await runMaterialise(request, device).next();
  const names = ["adapter_model.safetensors", "adapter_config.json"];
  expect(files.map((path) => basename(path))).toStrictEqual(names);
  expect(answer.value).toStrictEqual({ type: "materialised", files: names.map((name) => join(rebuilt, name)) });
  for (const name of names) {
    const [one, other] = [await readFile(join(kept, name)), await readFile(join(rebuilt, name))];
    expect({ name, same: Buffer.compare(one, other) === 0 }).toStrictEqual({ name, same: true });
  }
});

test("a prefix goes on from its log as it would have, and from a checkpoint of another run", async () => {
  const kept = await scratch();
  const prefix: Partial<Hyperparameters> = { method: "PREFIX", learningRate: 0.1, seed: 1, prefixLength: 3 };
  const whole = await run({ ...prefix, steps: 30 }, { weightsDir: kept });
  expect(whole.header).toMatchObject({
    trainable: [{ name: "prompt_embeddings", shape: [3, 384], dtype: "F32" }],
    prefix: { length: 3, seed: 1 },
  });
  const resumed = await run({ ...prefix, steps: 30 }, { entries: whole.entries.slice(0, 15) });
  expect(resumed.entries).toStrictEqual(whole.entries.slice(15));
  expect(resumed.checkpoint?.digest).toBe(whole.checkpoint?.digest);
  expect(whole.checkpoint?.files.map((path) => basename(path))).toStrictEqual([
    "adapter_model.safetensors",
    "adapter_config.json",
  ]);
  const fork = { headerBytes: encodeHeader(whole.header), firstStep: 0 };
  const child = await run(
    { ...prefix, steps: 5, seed: 9 },
    { fork, entries: whole.entries.slice(0, 20), stepsDone: 0 },
  );
  expect(child.header).toStrictEqual(whole.header);
  const other = { ...prefix, steps: 5, prefixLength: 4 };
  await expect(run(other, { fork, entries: whole.entries, stepsDone: 0 })).rejects.toMatchObject({
    code: "INVALID_STATE",
  });
});

test("baselines are of the base, not of a prefix that has learned nothing", async () => {
  // A tenth of the rows is enough: the numbers are to be the same, whatever they are.
  const datasetPath = join(await scratch(), "rows.jsonl");
  const rows = (await readFile(demo("train.jsonl"), "utf8")).split("\n");
  await writeFile(datasetPath, rows.slice(0, 100).join("\n"));
  const baselines = async (settings: Partial<Hyperparameters>) => {
    const wish = { ...settings, steps: 1, inContextRows: 2, linearProbe: true, seed: 1 };
    const { evaluations } = await run(wish, { datasetPath, validationPath: datasetPath });
    return evaluations.filter(({ kind }) => kind === "IN_CONTEXT" || kind === "LINEAR_PROBE");
  };
  const [one, other] = [await baselines({ method: "PREFIX", prefixLength: 3 }), await baselines({ method: "LORA" })];
  expect(one).toHaveLength(2);
  expect(one).toStrictEqual(other);
});

test.each([
  ["layer", "loraTargets", { ...lora, loraTargets: ["q_proj", "gate_proj"] }],
  ["tensor", "tensors", { tensors: ["bias", "q_proj"] }],
])("names the %s that the base has not", async (_, field, settings) => {
  await expect(run(settings)).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
    issues: [{ field: `hyperparameters.${field}[1]` }],
  });
});
