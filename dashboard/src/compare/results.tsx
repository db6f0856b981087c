/** What came of each run. */
import { runPath } from "../base.ts";
import { passesByStep } from "../../../schema/passes.ts";
import { formatBytes, formatDuration, formatInteger, none } from "../format.ts";
import { DataTable, type Column } from "../parts/data-table.tsx";
import { bestAmong, judged } from "../parts/measure.ts";
import { Status } from "../parts/status.tsx";
import { Wide } from "../parts/wide.tsx";
import { colorOf } from "./charts.tsx";
import type { ComparedRun } from "./use-compared.ts";

type Evaluation = ComparedRun["evaluations"][number];

export interface Result {
  readonly run: ComparedRun;
  readonly index: number;
  /** Of the base model, or of the checkpoint that the run continues from. */
  readonly before: Evaluation | null;
  readonly best: Evaluation | null;
  /** Whether no other run has a better one, by what all of them judge theirs by. */
  readonly leads: boolean;
  readonly test: Evaluation | null;
  readonly passes: number;
  readonly logBytes: number | null;
}

export function resultsOf(runs: readonly ComparedRun[]): Result[] {
  const results = runs.map(resultOf);
  const leaders = bestAmong(results, ({ run, best }) => best && judgedOf(run, best));
  return results.map((result) => ({ ...result, leads: leaders.has(result) }));
}

const judgedOf = (run: ComparedRun, one: Evaluation) => judged(run.hyperparameters.bestMetric, one);

function resultOf(run: ComparedRun, index: number): Omit<Result, "leads"> {
  const of = (kind: Evaluation["kind"]) => run.evaluations.filter((one) => one.kind === kind);
  const { step } = run.progress;
  return {
    run,
    index,
    before: of("VALIDATION").find((one) => one.step === 0) ?? null,
    best: of("VALIDATION").find((one) => one.step === run.bestEvaluation?.step) ?? null,
    test: of("TEST").findLast((one) => one.step > 0) ?? null,
    passes: passesByStep(run.hyperparameters)[step] ?? 0,
    logBytes: run.checkpoints.nodes[0]?.logBytes ?? null,
  };
}

const columns: readonly Column<Result>[] = [
  { title: "Run", cell: ({ run, index }) => <RunName run={run} index={index} />, sortBy: ({ run }) => run.name },
  { title: "Status", cell: ({ run }) => <Status run={run} /> },
  measured("Before", ({ before }) => before),
  measured(
    "Best",
    ({ best }) => best,
    ({ leads }) => leads,
  ),
  { title: "At step", cell: ({ best }) => integer(best?.step), sortBy: ({ best }) => best?.step, number: true },
  measured("Test", ({ test }) => test),
  {
    title: "Steps",
    cell: ({ run }) => integer(run.progress.step),
    sortBy: ({ run }) => run.progress.step,
    number: true,
  },
  { title: "Passes", cell: ({ passes }) => formatInteger(passes), sortBy: ({ passes }) => passes, number: true },
  {
    title: "Time",
    cell: ({ run }) => formatDuration(run.progress.trainedSeconds),
    sortBy: ({ run }) => run.progress.trainedSeconds,
    number: true,
  },
  {
    title: "Log",
    cell: ({ logBytes }) => (logBytes === null ? none : formatBytes(logBytes)),
    sortBy: ({ logBytes }) => logBytes,
    number: true,
  },
];

export function Results({ runs }: { runs: readonly ComparedRun[] }) {
  return (
    <section class="card compare-results">
      <h2>Results</h2>
      <Wide name="Results">
        <DataTable
          name="Results"
          columns={columns}
          rows={resultsOf(runs)}
          keyOf={({ run }) => run.id}
          empty="Reading the runs…"
        />
      </Wide>
      <p class="muted">
        Before: validation rows with the weights that the run started from. Best: by what the run judges its
        checkpoints; the best of all is marked where they judge by the same. Test: rows that were not used to choose it.
        Log: up to the latest checkpoint.
      </p>
    </section>
  );
}

export function RunName({ run, index }: { run: { readonly id: string; readonly name: string }; index: number }) {
  return (
    <>
      <span class="swatch" style={{ background: `var(${colorOf(index)})` }} aria-hidden="true" />
      <a href={runPath(run.id)}>{run.name}</a>
    </>
  );
}

const integer = (value: number | undefined) => (value === undefined ? none : formatInteger(value));

function measured(
  title: string,
  of: (result: Result) => Evaluation | null,
  isBest: (result: Result) => boolean = () => false,
): Column<Result> {
  const valueOf = (result: Result) => {
    const one = of(result);
    return one && judgedOf(result.run, one);
  };
  return {
    title,
    number: true,
    cell: (result) => {
      const found = valueOf(result);
      if (found === null) return none;
      return (
        <>
          {found.measure.format(found.value)}
          {isBest(result) && <span class="tag best">best</span>}
        </>
      );
    },
    sortBy: (result) => valueOf(result)?.value,
  };
}
