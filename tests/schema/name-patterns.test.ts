import fc from "fast-check";
import { expect, test } from "vitest";
import { fitsPattern, unmatchedLayers, unmatchedTensors } from "../../schema/name-patterns.ts";

/** What patterns mean, as a regular expression. */
function asExpression(pattern: string): RegExp {
  const text = pattern.replaceAll(/\*\*|\*|\./gu, (part) => ({ "**": ".*", "*": "[^.]*", ".": "\\." })[part] ?? "");
  return new RegExp(`(?:^|\\.)${text}$`, "u");
}

test("a pattern matches a name or its end after a dot; * stays between two dots, ** does not", () => {
  const name = "model.layers.0.self_attn.q_proj";
  for (const pattern of ["q_proj", "0.self_attn.q_proj", name, "layers.*.*.q_proj", "*_proj", "**", "model.**.q_*"]) {
    expect([pattern, fitsPattern(pattern, name)]).toStrictEqual([pattern, true]);
  }
  for (const pattern of ["proj", "model.*.q_proj", "q.proj", "layers", "", "q_proj."]) {
    expect([pattern, fitsPattern(pattern, name)]).toStrictEqual([pattern, false]);
  }
  const text = (alphabet: string[], maxLength: number) =>
    fc.array(fc.constantFrom(...alphabet), { maxLength }).map((parts) => parts.join(""));
  const property = fc.property(text(["a", "b", ".", "*", "**"], 6), text(["a", "b", "."], 9), (pattern, one) => {
    expect(fitsPattern(pattern, one)).toBe(asExpression(pattern).test(one));
  });
  fc.assert(property, { numRuns: 2_000 });
});

test("a pattern that would keep a regular expression busy for ever takes milliseconds", () => {
  const started = performance.now();
  for (const star of ["**", "*"]) expect(fitsPattern(`${star}a`.repeat(60).concat("b"), "a".repeat(200))).toBe(false);
  expect(performance.now() - started).toBeLessThan(1_000);
});

test("the first pattern that selects nothing is named, with what there is", () => {
  const names = { tensors: ["m.0.fc1.weight", "m.1.fc1.weight", "m.1.fc1.bias"], layers: ["m.0.fc1", "m.1.fc1"] };
  expect(unmatchedTensors(["fc1.bias", "0.**"], names)).toBeNull();
  expect(unmatchedTensors(["fc1.bias", "fc2.*", "fc3"], names)).toStrictEqual({
    index: 1,
    seen: '"fc2.*" matches no tensor of this model',
    advice: "Its tensors' names end with fc1.weight, fc1.bias.",
  });
  expect(unmatchedLayers(["fc1"], names)).toBeNull();
  expect(unmatchedLayers(["q_proj"], names)).toMatchObject({ index: 0, advice: "Its layers are called fc1." });
});
