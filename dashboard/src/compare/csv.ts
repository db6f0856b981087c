/** Files for spreadsheets and notebooks: a row for each run, or for each point of the curves. */
import { save } from "../api/client.ts";
import { scoreOfOne } from "../parts/measure.ts";
import { curveOf } from "./curves.ts";
import { resultsOf, type Result } from "./results.tsx";
import { settingsOf } from "./settings.tsx";
import type { ComparedRun } from "./use-compared.ts";

type Cell = string | number | null;

export function saveRuns(runs: readonly ComparedRun[]): void {
  const settings = settingsOf(runs);
  const head = [...results.map(([name]) => name), ...settings.map(({ name }) => name)];
  const rows = resultsOf(runs).map((one) => [
    ...results.map(([, of]) => of(one)),
    ...settings.map(({ values }) => values[one.index] ?? null),
  ]);
  saveCsv("runs.csv", [head, ...rows]);
}

const results: readonly (readonly [string, (result: Result) => Cell])[] = [
  ["run", ({ run }) => run.name],
  ["id", ({ run }) => run.id],
  ["status", ({ run }) => run.status],
  ["before_score", (result) => scoreIn(result, result.before)],
  ["before_loss", ({ before }) => before?.loss ?? null],
  ["best_score", (result) => scoreIn(result, result.best)],
  ["best_loss", ({ best }) => best?.loss ?? null],
  ["best_step", ({ best }) => best?.step ?? null],
  ["test_score", (result) => scoreIn(result, result.test)],
  ["test_loss", ({ test }) => test?.loss ?? null],
  ["steps", ({ run }) => run.progress.step],
  ["passes", ({ passes }) => passes],
  ["seconds", ({ run }) => run.progress.trainedSeconds],
  ["log_bytes", ({ logBytes }) => logBytes],
];

const scoreIn = ({ run }: Result, evaluation: Result["best"]): Cell =>
  evaluation && scoreOfOne(run.hyperparameters.bestMetric, evaluation);

export function saveCurves(runs: readonly ComparedRun[]): void {
  const rows = runs.flatMap((run) => {
    const { losses, validations } = curveOf(run);
    return [
      ...losses.map(({ step, passes, seconds, loss }) => [run.name, run.id, step, passes, seconds, loss, null, null]),
      ...validations.map((one) => [run.name, run.id, one.step, one.passes, one.seconds, null, one.loss, one.score]),
    ];
  });
  const head = ["run", "id", "step", "passes", "seconds", "loss", "validation_loss", "validation_score"];
  saveCsv("curves.csv", [head, ...rows]);
}

function saveCsv(name: string, rows: readonly (readonly Cell[])[]): void {
  const text = rows.map((row) => row.map(inCsv).join(",")).join("\r\n");
  save(new Blob([`${text}\r\n`], { type: "text/csv" }), name);
}

/** Quoted as RFC 4180 says. Text that a spreadsheet would run as a formula gets an apostrophe before it. */
function inCsv(cell: Cell): string {
  if (cell === null) return "";
  if (typeof cell === "number") return String(cell);
  const text = /^[=+\-@\t\r]/u.test(cell) && Number.isNaN(Number(cell)) ? `'${cell}` : cell;
  return /[",\r\n]/u.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
