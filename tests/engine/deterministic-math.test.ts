import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { cos, exp, log, pow, sin, tanh } from "../../engine/numbers/deterministic-math.ts";
import { Draw } from "./devices.inputs.ts";

const draw = new Draw(1);
const between = (from: number, to: number) =>
  Array.from({ length: 20_000 }, () => from + (to - from) * (draw.unit() + draw.unit() / 2 ** 30));

/** Of each function: arguments, and how far from Math's it may be, relative to its value and to 1. */
const cases = {
  exp: { own: exp, other: Math.exp, inputs: [...between(-745, 709), ...between(-1, 1), 0, -0], relative: 4e-16 },
  log: { own: log, other: Math.log, inputs: [...between(1e-9, 3), ...between(1, 1e9), 1, 2 ** 60], relative: 6e-16 },
  tanh: { own: tanh, other: Math.tanh, inputs: [...between(-25, 25), ...between(-0.1, 0.1), 0], relative: 3e-14 },
  sin: { own: sin, other: Math.sin, inputs: [...between(-131_072, 131_072), ...between(-4, 4), 0], relative: 4e-16 },
  cos: { own: cos, other: Math.cos, inputs: [...between(-131_072, 131_072), ...between(-4, 4), 0], relative: 4e-16 },
  "theta^-x": {
    own: (x: number) => pow(1e6, -x),
    other: (x: number) => 1e6 ** -x,
    inputs: between(0, 1),
    relative: 5e-15,
  },
};

test.each(Object.entries(cases))("%s is Math's, but for the last bits", (_, { own, other, inputs, relative }) => {
  for (const x of inputs) {
    const [seen, expected] = [own(x), other(x)];
    // Sines near their zeros are as exact as 1 is.
    const scale = Math.max(Math.abs(expected), own === sin || own === cos ? 1 : 1e-300);
    if (own === log && Math.abs(expected) < 1) expect(Math.abs(seen - expected)).toBeLessThan(3e-16);
    else expect(Math.abs(seen - expected) / scale, `${x}`).toBeLessThan(relative);
  }
});

test("ends are what they should be", () => {
  expect([exp(710), exp(-746), exp(NaN), exp(0)]).toStrictEqual([Infinity, 0, NaN, 1]);
  expect([tanh(30), tanh(-30), sin(0), cos(0), log(1)]).toStrictEqual([1, -1, 0, 1, 0]);
});

test("every bit is the one that other machines have", () => {
  const values = Object.values(cases).flatMap(({ own }) =>
    Array.from({ length: 2_000 }, (_, i) => own((i + 1) * 0.01)),
  );
  const bytes = new Uint8Array(Float64Array.from(values).buffer);
  // tests/golden/README.md says what made it.
  expect(createHash("sha256").update(bytes).digest("hex")).toBe(
    readFileSync(fileURLToPath(new URL("../golden/exact.sha256", import.meta.url)), "utf8").trim(),
  );
});

describe("where bits must be the same on every machine, nothing is left to Math's functions", () => {
  const root = fileURLToPath(new URL("../../engine/", import.meta.url));
  const files = [
    ...readdirSync(`${root}model`, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => `model/${name}`),
    "devices/plain.ts",
    "devices/plain-kernels.ts",
    "numbers/deterministic-math.ts",
  ];

  test.each(files)("%s", (file) => {
    const source = readFileSync(root + file, "utf8").replaceAll(/\/\*[^]*?\*\/|\/\/.*$/gmu, "");
    const found = source.match(/Math\.(?:exp|expm1|log\w*|pow|sinh?|cosh?|tanh?|atan\w*|cbrt|hypot)\b/gu) ?? [];
    // A power of two by a whole number is exact.
    const powers = source.match(/\S+ \*\* \S+/gu)?.filter((power) => !/^2 \*\* \(?-?\w+/u.test(power)) ?? [];
    expect([...found, ...powers]).toStrictEqual([]);
  });
});
