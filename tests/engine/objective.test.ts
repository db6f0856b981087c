import { expect, test } from "vitest";
import { encodeRow } from "../../dataset/encode.ts";
import { answerObjective, exactMatch, f1, scoreAnswers } from "../../engine/objective/answers.ts";
import { generate } from "../../engine/generation/generate.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import type { Model } from "../../engine/model/model.ts";
import { loadModel } from "../../engine/model/model.ts";
import { candidateScores, choiceObjective, errorOf, sequencesOf } from "../../engine/objective/choices.ts";
import { openDevices } from "../support/open-devices.ts";
import { randomModel } from "../support/models.ts";

const devices = await openDevices();
const perturbation = { seed: 5n, size: 2 ** -4, noise: "rademacher" } as const;

/** A candidate of one or more tokens behind a prompt. */
const candidate = (prompt: number[], completion: number[]) =>
  encodeRow(null, { input_ids: [...prompt, ...completion], labels: [...prompt.map(() => -100), ...completion] });

const neutral = [candidate([1], [7]), candidate([1], [8, 9])];
const choices = [
  { rows: [candidate([1, 2, 3], [7]), candidate([1, 2, 3], [8, 9])], right: 1, neutral },
  { rows: [candidate([1, 4], [7]), candidate([1, 4], [8, 9])], right: 0, neutral },
];

test("a choice is scored by mean log-likelihoods, calibrated by those behind the prompt that says nothing", () => {
  const sequences = sequencesOf(choices);
  expect(sequences).toHaveLength(6);
  // Losses in the order of the sequences: [7], [8 9], neutral [7], neutral [8 9], [7], [8 9].
  const losses = Float64Array.of(1, 2, 4, 5, 1, 3, 0.5, 6, 8);
  expect(candidateScores(choices, sequences, losses)).toStrictEqual([
    { scores: [4, -1], right: 1 },
    { scores: [4.5, -5], right: 0 },
  ]);
  const plain = choices.map((choice) => ({ ...choice, neutral: null }));
  expect(candidateScores(plain, sequences, losses).map(({ scores }) => scores)).toStrictEqual([
    [-1, -3],
    [-0.5, -7],
  ]);
});

test.each(devices)("hidden states give the logits of the model's head: $name", async (device) => {
  const model = await loadModel(await openModelFolder(await randomModel()), device, "rademacher");
  const [ids, at] = [Int32Array.of(3, 1, 4, 1, 5), 2];
  const hidden = await model.hiddenStates([
    { ids, at },
    { ids: Int32Array.of(9, 2), at: 1 },
  ]);
  const columns = hidden.length / 2;
  const table = new Float32Array((await model.read("model.decoder.embed_tokens.weight")).slice().buffer);
  const logits = await model.logits(ids, Int32Array.of(at));
  for (const [id, logit] of logits.entries()) {
    const row = table.subarray(id * columns, (id + 1) * columns);
    const sum = row.reduce((total, value, j) => total + value * (hidden[j] ?? NaN), 0);
    expect(Math.abs(sum - logit)).toBeLessThan(1e-4 * Math.max(1, Math.abs(logit)));
  }
});

test("of equal scores none is right", () => {
  expect(errorOf([1, 1], 0)).toBe(1);
  expect(errorOf([1, 2], 1)).toBe(0);
  expect(errorOf([NaN, 2], 0)).toBe(1);
});

test.each(devices)("both sides of a choice are those of the candidates' losses: $name", async (device) => {
  const model = await loadModel(await openModelFolder(await randomModel()), device, "rademacher");
  const sequences = sequencesOf(choices);
  const losses = await model.perturbedLosses(sequences, perturbation);
  for (const [side, name] of (["plus", "minus"] as const).entries()) {
    const scored = candidateScores(choices, sequences, losses[name]);
    const accuracy = await choiceObjective(choices, "ACCURACY").measure(model, [1, 0], perturbation);
    expect([...(accuracy[side] ?? [])]).toStrictEqual(
      scored.toReversed().map(({ scores, right }) => errorOf(scores, right)),
    );
    const entropy = await choiceObjective(choices, "CLASSIFICATION").measure(model, [0, 1], perturbation);
    const exact = scored.map(({ scores, right }) => {
      const weights = scores.map((score) => Math.exp(score));
      return -Math.log((weights[right] ?? NaN) / weights.reduce((a, b) => a + b));
    });
    [...(entropy[side] ?? [])].forEach((value, i) => expect(value).toBeCloseTo(exact[i] ?? NaN, 10));
  }
});

test("a choice or an answer of a model that has diverged has no value, so that its step is skipped", async () => {
  const model = await loadModel(await openModelFolder(await randomModel()), createPlainDevice(), "rademacher");
  const diverged: Model = {
    ...model,
    sideLosses: async (batch, noise) => (await model.sideLosses(batch, noise)).map((side) => side.fill(NaN, 0, 1)),
    sideLogits: async (ids, noise) => (await model.sideLogits(ids, noise)).map((side) => side.fill(NaN)),
  };
  const questions = [{ prompt: Int32Array.of(1, 2), answers: ["w3"] }];
  const answering = { maxTokens: 2, decode: (ids: readonly number[]) => ids.join(" ") };
  for (const objective of [
    choiceObjective(choices, "ACCURACY"),
    choiceObjective(choices, "CLASSIFICATION"),
    answerObjective(questions, "F1", answering),
    answerObjective(questions, "EXACT_MATCH", answering),
  ]) {
    const sides = await objective.measure(diverged, [0], perturbation);
    expect(sides.map((side) => [...side])).toStrictEqual([[NaN], [NaN]]);
  }
});

test("answers are judged by their words", () => {
  expect(exactMatch(" The  Cat, sat.", "cat sat")).toBe(1);
  expect(exactMatch("cat", "cats")).toBe(0);
  expect(f1("the black cat sat", "a cat sat down")).toBeCloseTo((2 * 2) / (3 + 3), 12);
  expect(f1("cat cat", "cat")).toBeCloseTo(2 / 3, 12);
  expect(f1("", "cat")).toBe(0);
  expect(f1("the", "a")).toBe(1);
});

test.each(devices)("answers of both sides are the greedy ones of perturbed weights: $name", async (device) => {
  const folder = await openModelFolder(await randomModel());
  const model = await loadModel(folder, device, "rademacher");
  const decode = (ids: readonly number[]) => ids.map((id) => `w${id}`).join(" ");
  const prompts = [
    [1, 2, 3],
    [9, 4],
    [5, 6, 7, 8],
  ];
  // The same weights by an update: w - a*n with a = -e is w + e*n, bit for bit.
  const moved = await loadModel(folder, device, "rademacher");
  moved.update([{ seed: perturbation.seed, scalar: -perturbation.size }]);
  const said = await Promise.all(
    prompts.map(async (prompt) => decode((await generate(moved, prompt, 5)).filter((id) => id !== 2))),
  );
  const questions = prompts.map((prompt, i) => ({ prompt: Int32Array.from(prompt), answers: [said[i] ?? ""] }));
  const answering = { maxTokens: 5, decode };
  const objective = answerObjective(questions, "EXACT_MATCH", answering);
  const [plus, minus] = await objective.measure(model, [0, 1, 2], perturbation);
  expect([...(plus ?? [])]).toStrictEqual([0, 0, 0]);
  expect([...(minus ?? [])]).not.toStrictEqual([0, 0, 0]);
  const [alone, ...none] = await objective.measure(model, [0, 1, 2], { ...perturbation, oneSided: true });
  expect([...(alone ?? [])]).toStrictEqual([0, 0, 0]);
  expect(none).toStrictEqual([]);
  const [still] = await objective.measure(moved, [0, 1, 2], null);
  expect([...(still ?? [])]).toStrictEqual([0, 0, 0]);
  const answered = await scoreAnswers(moved, questions, answering);
  expect(answered.map(({ f1: share, exactMatch: same }) => [share, same])).toEqual(questions.map(() => [1, 1]));
  expect(answered.map(({ text }) => text)).toEqual(questions.map(({ answers: [accepted] }) => accepted));
});
