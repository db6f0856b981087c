/** steplog dataset and steplog preview, as their users run them. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parquetWriteFile } from "hyparquet-writer";
import { expect, test } from "vitest";
import { packagePath } from "../../schema/package.ts";
import { steplogHere } from "../support/command.ts";
import { scratch } from "../support/models.ts";

const sentences = Array.from({ length: 60 }, (_, i) => ({ sentence: `film number ${i}`, label: i % 2 }));

test("writes a sample to learn from and the rest to be judged by, the same from JSON Lines and parquet", async () => {
  const folder = await scratch();
  const [lines, parquet] = [join(folder, "rows.jsonl"), join(folder, "rows.parquet")];
  await writeFile(lines, sentences.map((row) => JSON.stringify(row)).join("\n"));
  parquetWriteFile({
    filename: parquet,
    rowGroupSize: 25,
    columnData: [
      { name: "sentence", data: sentences.map(({ sentence }) => sentence), type: "STRING" },
      { name: "label", data: sentences.map(({ label }) => BigInt(label)), type: "INT64" },
    ],
  });
  const contents: string[][] = [];
  for (const file of [lines, parquet]) {
    const out = join(folder, `out-${contents.length}`);
    const options = ["--preset", "sst2", "--per-class", "8", "--validation", "0.2", "--test", "0.2", "--seed", "3"];
    const { code, stdout, stderr } = await steplogHere(["dataset", file, "--out", out, "--json", ...options]);
    expect({ code, stderr }).toStrictEqual({ code: 0, stderr: "" });
    const { written } = JSON.parse(stdout) as { written: { file: string; rows: number; classes: object }[] };
    expect(written[0]).toMatchObject({ rows: 16, classes: { " great": 8, " terrible": 8 } });
    expect(written).toHaveLength(3);
    contents.push(await Promise.all(written.map(async (one) => readFile(one.file, "utf8"))));
  }
  expect(contents[1]).toStrictEqual(contents[0]);
});

test("says what is wrong with options and rows", { timeout: 60_000 }, async () => {
  const folder = await scratch();
  const rows = join(folder, "rows.jsonl");
  await writeFile(rows, '{"text": "a", "label": 9}\n');
  const of = (...options: string[]) => steplogHere(["dataset", rows, "--out", join(folder, "out"), ...options]);
  const unknown = await of("--preset", "SST3");
  expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining("SST2, SST5") as string });
  const labels = ["--template", "{text} is", "--labels", '{"0": " bad", "1": " good"}'];
  const wrong = await of(...labels);
  expect(wrong).toMatchObject({
    code: 3,
    stderr: expect.stringMatching(/line 1.*label "9" is not one of 0, 1/su) as string,
  });
  expect((await of("--template", "{text} is")).stderr).toContain("--template needs --labels");
  await writeFile(rows, "PAR1 and no more");
  expect(await of("--preset", "SST2")).toMatchObject({
    code: 3,
    stderr: expect.stringContaining("as parquet") as string,
  });
});

test("preview shows tokens, those scored, and rows that would be refused, the first ones alone if asked", async () => {
  const file = join(await scratch(), "rows.csv");
  await writeFile(file, "prompt,completion\nIt was, terrible\nIt was,\n");
  const preview = (...more: string[]) =>
    steplogHere(["preview", "--model", packagePath("demo/base"), "--data", file, ...more]);
  const first = "line 2: 4 tokens, 1 scored\n  </s>|It| was|[ terrible]\n";
  const second = 'line 3: 0 tokens, 0 scored\n  line 3, completion: "completion": is empty\n';
  const counts = "2 rows read, 1 refused.\n4 tokens, 1 of them scored; 4 to 4 in a row, 4.0 on average.\n";
  expect(await preview()).toEqual({ code: 0, stderr: "", stdout: first + second + counts });
  const { stdout } = await preview("--rows", "1");
  expect(stdout).toBe(`${first}${counts}line 3, completion: "completion": is empty\n`);
});

test("preview says which prompts are cut, and what there is to say of the rows", async () => {
  const file = join(await scratch(), "rows.jsonl");
  const row = { prompt: `${"so good ".repeat(200)}It was`, completion: " great" };
  await writeFile(file, [row, row].map((one) => JSON.stringify(one)).join("\n"));
  const options = ["--model", packagePath("demo/base"), "--data", file, "--truncate", "START", "--prefix-length", "5"];
  const shown = await steplogHere(["preview", ...options]);
  expect(shown).toMatchObject({ code: 0, stderr: "" });
  expect(shown.stdout).toMatch(/^line 1: \d+ tokens, \d+ scored, \d+ cut\n/u);
  expect(shown.stdout).toMatch(
    /\n2 rows are longer than the context and are cut at the start of the prompt, by \d+ tokens/u,
  );
  expect(shown.stdout).toMatch(/\n1 row repeats an earlier one, prompt and answer: line 2 is line 1\.\n/u);
});
