/** What is measured of a run beside its steps, and what follows from it. */
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { scratch } from "../support/models.ts";
import { demo, messagesOf, ofType, run, untimed } from "./run.ts";

/** Far too fast: it learns, and then goes wrong. */
const wild = { learningRate: 1e-3, steps: 400, seed: 1, evaluateEvery: 20, whenDiverged: "GO_ON" } as const;

test("a run without patience goes on; one with patience ends when nothing gets better, at a checkpoint", async () => {
  const patient = await run({ ...wild, steps: 100 });
  expect(patient.evaluations.map(({ step }) => step)).toStrictEqual([0, 20, 40, 60, 80, 100]);

  const { messages, evaluations, checkpoint, entries } = await run({ ...wild, patience: 3 });
  const last = evaluations.at(-1)?.step ?? NaN;
  expect(last).toBeLessThan(400);
  expect(entries).toHaveLength(last);
  expect(checkpoint).toMatchObject({ entries: last, step: last });
  const [best] = evaluations.toSorted((a, b) => (b.accuracy ?? 0) - (a.accuracy ?? 0) || a.loss - b.loss);
  expect(last - (best?.step ?? NaN)).toBe(60);
  expect(ofType(messages, "checkpoint").map(({ step }) => step)).toContain(best?.step);
  const words = `Stopped early: the last 3 evaluations were no better than the one at step ${best?.step}.`;
  expect(ofType(messages, "note")).toContainEqual({ type: "note", event: "STOPPED_EARLY", message: words });
  expect(messages.at(-1)).toMatchObject({ type: "done" });
});

test("the metric that was chosen says which place is best", async () => {
  // On its way from a loss of 13 it guesses well, then says the same of all rows, then learns.
  const early = { estimator: "FZOO", learningRate: 1e-3, steps: 240, seed: 1, evaluateEvery: 60 } as const;
  const { evaluations } = await run({ ...early, bestMetric: "LOSS" }, { testPath: demo("validation.jsonl") });
  const validations = evaluations.filter(({ kind }) => kind === "VALIDATION");
  const [byLoss] = validations.toSorted((a, b) => a.loss - b.loss);
  const [byAccuracy] = validations.toSorted((a, b) => (b.accuracy ?? 0) - (a.accuracy ?? 0) || a.loss - b.loss);
  expect(byLoss?.step).not.toBe(byAccuracy?.step);
  expect(evaluations.at(-1)).toStrictEqual({ ...byLoss, kind: "TEST" });
});

test("the test rows are measured with the base and at the best place, to which the weights go back", async () => {
  const { evaluations } = await run({ ...wild, patience: 2 }, { testPath: demo("validation.jsonl") });
  const of = (kind: string) => evaluations.filter((one) => one.kind === kind);
  const [base, best] = of("TEST");
  expect(of("TEST")).toHaveLength(2);
  expect(base).toStrictEqual({ ...of("VALIDATION")[0], kind: "TEST" });
  const last = of("VALIDATION").at(-1)?.step ?? NaN;
  expect(best?.step).toBeLessThan(last);
  // The rows are the same, so the weights were if the numbers are.
  const then = of("VALIDATION").find(({ step }) => step === best?.step);
  expect(best).toStrictEqual({ ...then, kind: "TEST" });
});

test("a run that goes on in the midst measures nothing twice, and ends as it would have", async () => {
  const settings = { ...wild, patience: 3 };
  const whole = await run(settings, { testPath: demo("validation.jsonl") });
  const cut = whole.messages.findIndex((message) => message.type === "evaluation" && message.step === 40);
  const before = whole.messages.slice(0, cut);
  const resumed = await run(settings, {
    testPath: demo("validation.jsonl"),
    entries: ofType(before, "step").flatMap((step) => step.entries),
    evaluated: ofType(before, "evaluation"),
  });
  expect(resumed.evaluations).toStrictEqual(untimed(ofType(whole.messages.slice(cut), "evaluation")));
  expect(resumed.checkpoint).toStrictEqual(whole.checkpoint);
});

test("in-context learning is a baseline: as many rows in front of a prompt as fit", async () => {
  const settings = { learningRate: 1e-6, steps: 1, inContextRows: 4, seed: 2 };
  const { evaluations } = await run(settings);
  expect(evaluations.map(({ kind, step }) => [kind, step])).toStrictEqual([
    ["VALIDATION", 0],
    ["IN_CONTEXT", 0],
    ["VALIDATION", 1],
  ]);
  const [zeroShot, inContext] = evaluations;
  expect(inContext?.rows).toBe(zeroShot?.rows);
  expect(inContext?.loss).not.toBe(zeroShot?.loss);
  const crowded = await run({ ...settings, inContextRows: 200 });
  expect(Number.isFinite(crowded.evaluations[1]?.loss)).toBe(true);

  const tokens = join(await scratch(), "tokens.jsonl");
  await writeFile(tokens, '{"input_ids": [1, 2, 3], "labels": [-100, 2, 3]}\n');
  const changes = { datasetPath: tokens, validationPath: tokens, labelWords: [] };
  await expect(messagesOf(settings, changes)).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
    issues: [{ field: "hyperparameters.inContextRows" }],
  });
});

test("a linear probe takes the candidates of rows in any order", async () => {
  const settings = { learningRate: 1e-6, steps: 1, linearProbe: true };
  const probed = async (changes: Parameters<typeof run>[1]) =>
    (await run(settings, changes)).evaluations.find(({ kind }) => kind === "LINEAR_PROBE");
  const inTurns = async (name: string) => {
    const file = join(await scratch(), name);
    const lines = readFileSync(demo(name), "utf8").trimEnd().split("\n");
    const words = [" great", " terrible"];
    const rows = lines.map((line, row) => ({
      ...(JSON.parse(line) as object),
      candidates: row % 3 === 1 ? words.toReversed() : words,
    }));
    await writeFile(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    return file;
  };
  const [datasetPath, validationPath] = [await inTurns("train.jsonl"), await inTurns("validation.jsonl")];
  const own = await probed({ datasetPath, validationPath, labelWords: [] });
  expect(own?.accuracy).toBe((await probed({}))?.accuracy);
});

test("a linear probe is a baseline, where rows have one set of classes", async () => {
  const { evaluations } = await run({ learningRate: 1e-6, steps: 1, linearProbe: true });
  const [zeroShot, probe] = evaluations;
  expect(probe).toMatchObject({ kind: "LINEAR_PROBE", step: 0, rows: 256, f1: null });
  // Its hidden states tell good from bad, which the base does not say in words.
  expect(zeroShot?.accuracy).toBeLessThan(0.55);
  expect(probe?.accuracy).toBeGreaterThan(0.9);
  expect(probe?.loss).toBeLessThan(Math.log(2));
  await expect(
    messagesOf({ learningRate: 1e-6, steps: 1, linearProbe: true }, { labelWords: [] }),
  ).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
    issues: [{ field: "hyperparameters.linearProbe" }],
  });
});

test("AUTO finds a rate that learns, keeps it when the run goes on, and says so", async () => {
  const settings = { learningRate: "AUTO", steps: 130, seed: 1 } as const;
  const { messages, evaluations, entries, pickedRate, header } = await run(settings);
  expect(evaluations.at(-1)?.accuracy).toBeGreaterThan(0.95);
  expect(header.hyperparameters).toMatchObject({ learningRate: pickedRate, estimator: "FZOO", schedule: "LINEAR" });
  expect(ofType(messages, "step")[0]?.learningRate).toBe(pickedRate);
  expect(ofType(messages, "note").map(({ message }) => message)).toStrictEqual([
    expect.stringContaining(`AUTO chose the learning rate ${pickedRate}`),
  ]);
  const resumed = await run(settings, {
    entries: entries.slice(0, 8 * 120),
    stepsDone: 120,
    pickedRate,
    evaluated: evaluations.slice(0, 1),
  });
  expect(resumed.entries).toStrictEqual(entries.slice(8 * 120));
  expect(resumed.pickedRate).toBe(pickedRate);
});
