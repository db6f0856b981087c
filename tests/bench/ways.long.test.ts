/** Every way to learn, side by side: most of a minute. */
import { expect, test } from "vitest";
import { scratch } from "../support/models.ts";
import { bench } from "./program.ts";

test("auto and estimators compare ways to learn the demo's task, as tables", { timeout: 120_000 }, async () => {
  const folder = await scratch();
  const auto = bench(["auto", "--seeds", "1", "--steps", "2"], folder);
  expect({ status: auto.status, stderr: auto.stderr }).toStrictEqual({ status: 0, stderr: "" });
  const lines = auto.stdout.trim().split("\n");
  expect(lines).toHaveLength(2 + 11);
  for (const line of lines.slice(2)) expect(line).toMatch(/^\| .+ \| 2 \| .+ \| \d+\.\d \| \d+\.\d \| [\d.e-]+ \|$/u);

  const estimators = bench(["estimators", "--seeds", "1", "--passes", "10", "--json"], folder);
  expect(estimators.status).toBe(0);
  const rows = JSON.parse(estimators.stdout) as { name: string; reached: number }[];
  expect(rows.map(({ name }) => name.split(/[ ,]/u)[0])).toStrictEqual([
    "SPSA",
    "SPSA",
    "n-SPSA",
    "FZOO",
    "FZOO",
    "LOZO",
    "LOZO",
  ]);
});
