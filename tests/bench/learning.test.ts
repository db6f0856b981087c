/** What runs learn is measured as a worker would train, and drawn from the same numbers that its table shows. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { chartLearning } from "../../bench/learning-chart.ts";
import { contenderOf, seedsOf } from "../../bench/learning-options.ts";
import type { LearningOptions } from "../../bench/learning.ts";
import { benchLearning } from "../../bench/learning.ts";
import { packagePath } from "../../schema/package.ts";
import { scratch } from "../support/models.ts";

async function someRows(folder: string): Promise<string> {
  const rows = (await readFile(packagePath("demo/train.jsonl"), "utf8")).split("\n").slice(0, 4);
  const path = join(folder, "rows.jsonl");
  await writeFile(path, rows.join("\n"));
  return path;
}

const small = { batchSize: 1, learningRate: 1e-4 };

async function optionsFor(folder: string, changes: Partial<LearningOptions> = {}): Promise<LearningOptions> {
  const rows = await someRows(folder);
  return {
    device: "plain",
    task: "four rows",
    train: rows,
    validation: rows,
    test: rows,
    contenders: [
      { name: "FZOO", settings: { ...small, estimator: "FZOO", estimates: 2 } },
      { name: "SPSA & more", passes: 4, settings: { ...small, estimator: "SPSA", estimates: 1 } },
    ],
    passes: 12,
    seeds: [1, 2],
    evaluations: 2,
    inContextRows: 1,
    baselines: false,
    ...changes,
  };
}

test("learning counts passes, records every evaluation, and draws seeds of several files together", async () => {
  const folder = await scratch();
  const first = await benchLearning(await optionsFor(folder, { seeds: [1], baselines: true }));
  const second = await benchLearning(await optionsFor(folder, { seeds: [2] }));

  expect(first).toMatchObject({ bench: "learning", rows: { training: 4, validation: 4 } });
  const shape = first.contenders.map(({ name, runs }) => [name, runs.map(({ points }) => points.map((p) => p.passes))]);
  // FZOO: three passes a step, SPSA: two.
  expect(shape).toStrictEqual([
    ["FZOO", [[0, 6, 12]]],
    ["SPSA & more", [[0, 2, 4]]],
  ]);
  for (const { points, test: tested, ended, learningRate } of first.contenders.flatMap(({ runs }) => runs)) {
    expect({ ended, learningRate, tested: typeof tested }).toStrictEqual({
      ended: "DONE",
      learningRate: 1e-4,
      tested: "number",
    });
    const seconds = points.map((point) => point.seconds);
    expect(seconds).toStrictEqual(seconds.toSorted((a, b) => a - b));
    expect(points[1]?.loss).not.toBe(points[0]?.loss);
  }
  expect(Object.values(first.baselines ?? {}).map((share) => typeof share)).toStrictEqual(Array(4).fill("number"));
  expect(second.rows.tokens).toBe(first.rows.tokens);
  expect(second.contenders[0]?.runs[0]?.points.at(-1)).not.toMatchObject({
    loss: first.contenders[0]?.runs[0]?.points.at(-1)?.loss,
  });

  const files = await Promise.all(
    [first, second].map(async (result, i) => {
      const path = join(folder, `${i}.json`);
      await writeFile(path, JSON.stringify(result));
      return path;
    }),
  );
  const [svg, page] = [join(folder, "chart.svg"), join(folder, "page.md")];
  await writeFile(
    page,
    "before\n<!-- results: made by npm run bench -- learning-chart -->\n<!-- end of results -->\nafter\n",
  );
  await chartLearning(files, { svg, page, curves: ["SPSA & more"] });
  const drawn = await readFile(svg, "utf8");
  // One of the two contenders, in two charts, with a band.
  expect(drawn.match(/<polyline/gu)).toHaveLength(2);
  expect(drawn).toMatch(/SPSA &amp; more[\s\S]*linear probe/u);
  expect(drawn).not.toMatch(/FZOO|NaN|Infinity/u);
  expect(await readFile(page, "utf8")).toMatch(
    /^before\n[\s\S]*\| SPSA & more +\| 2 +\| 0\.0001 +\| 4 +\|[\s\S]*\nafter\n$/u,
  );
}, 30_000);

describe("its options", () => {
  test("are contenders and seeds", () => {
    const one = contenderOf('{"name":"a","passes":9,"method":"HEAD"}');
    expect(contenderOf('{"name":"b"}', one)).toStrictEqual([
      { name: "a", passes: 9, settings: { method: "HEAD" } },
      { name: "b", settings: {} },
    ]);
    expect(seedsOf("2-4")).toStrictEqual([2, 3, 4]);
    expect(seedsOf("7,1")).toStrictEqual([7, 1]);
  });

  test("are refused with what is wrong", async () => {
    for (const text of ["{", "[]", '{"passes":1}', '{"name":"a","passes":0}']) {
      expect(() => contenderOf(text)).toThrow("must be a JSON object of a name");
    }
    for (const text of ["4-2", "1,x", "-1", ""]) expect(() => seedsOf(text)).toThrow("must be seeds");
    const contenders = [{ name: "odd", settings: { steps: 0 } }];
    const options = await optionsFor(await scratch(), { contenders });
    await expect(benchLearning(options)).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: expect.stringContaining('steps of contender "odd" must be') as string,
    });
  });
});
