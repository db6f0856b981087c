/** The alerts of deploy/prometheus, judged by Prometheus' own promtool: when each fires, and when it does not. */
import { execFile, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { packagePath } from "../../schema/package.ts";
import { scratch } from "../support/models.ts";
import { alertCases, type AlertCase } from "./alert-cases.ts";

const run = promisify(execFile);
const rules = packagePath("deploy/prometheus/alerts.yml");
const isHere = spawnSync("promtool", ["--version"]).status === 0;
const why = "no promtool on the PATH: tests/deploy/promtool.sh FOLDER puts one there";
if (process.env["CI"] && !isHere) throw new Error(`${why}. CI has what tests need.`);

test("every alert has a case in which it fires, and one in which it is silent", () => {
  const { groups } = parse(readFileSync(rules, "utf8")) as { groups: { rules: { alert: string }[] }[] };
  const alerts = groups.flatMap((group) => group.rules.map(({ alert }) => alert));
  expect(Object.keys(alertCases)).toEqual(alerts);
  for (const cases of Object.values(alertCases)) {
    expect(cases.some(({ fires }) => fires.length > 0)).toBe(true);
    expect(cases.some(({ silent }) => silent.length > 0)).toBe(true);
  }
});

test.runIf(isHere)(`each alert fires when it should, and only then${isHere ? "" : ` (skipped: ${why})`}`, async () => {
  const tests = Object.entries(alertCases).flatMap(([alert, cases]) => cases.map((one) => asked(alert, one)));
  const path = join(await scratch(), "alerts.json");
  await writeFile(path, JSON.stringify({ rule_files: [rules], evaluation_interval: "1m", tests }));
  await run("promtool", ["check", "rules", "--lint=all", "--lint-fatal", rules]);
  const { stdout } = await run("promtool", ["test", "rules", path]);
  expect(stdout).toContain("SUCCESS");
});

/** A case in the words of promtool. JSON is YAML too. */
function asked(alert: string, { series, silent, fires }: AlertCase) {
  const firing = (minute: number, value: number) => ({
    expr: `count(ALERTS{alertname="${alert}",alertstate="firing"}) or vector(0)`,
    eval_time: `${minute}m`,
    exp_samples: [{ labels: "{}", value }],
  });
  return {
    name: alert,
    interval: "1m",
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    promql_expr_test: [...silent.map((minute) => firing(minute, 0)), ...fires.map((minute) => firing(minute, 1))],
  };
}
