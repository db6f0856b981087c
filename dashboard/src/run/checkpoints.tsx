/**
 * Checkpoints of a run: how good each is, its log and weights, and what can be done with it. A run may have thousands: they
 * come page by page, the latest first, with the best one at the top of every page.
 */
import { useState } from "preact/hooks";
import { useAnswer } from "../api/query.ts";
import { formatBytes, formatInteger } from "../format.ts";
import { DataTable, type Column } from "../parts/data-table.tsx";
import { measureOf, titleOf } from "../parts/measure.ts";
import { Problem } from "../parts/problem.tsx";
import { CheckpointActions } from "./checkpoint-actions.tsx";
import { Download } from "./download.tsx";
import { olderCheckpoints } from "./operations.ts";
import type { Checkpoint, Run } from "./run-state.ts";
import { Weights } from "./weights.tsx";

/** As often as the first page. */
const everyMs = 2_000;

export function Checkpoints({ run }: { run: Run }) {
  const { page, failure, pager } = usePages(run);
  const best = run.bestCheckpoint?.step === run.bestEvaluation?.step ? run.bestCheckpoint : null;
  const others = page.nodes.filter(({ id }) => id !== best?.id);
  return (
    <section class="card">
      <h2>Checkpoints</h2>
      {failure && <Problem title="Older checkpoints could not be read" failure={failure} />}
      <DataTable
        name="Checkpoints"
        columns={columnsOf(run, best)}
        rows={best ? [best, ...others] : others}
        keyOf={({ id }) => id}
        empty="None yet. There is always one after the last step."
      />
      {pager}
    </section>
  );
}

/** The latest page comes with the run; older ones are read as they are asked for. */
function usePages(run: Run) {
  // The cursor of each page that was left for an older one.
  const [left, setLeft] = useState<readonly string[]>([]);
  const after = left.at(-1);
  const { data, failure, loading } = useAnswer(
    olderCheckpoints,
    { id: run.id, after: after ?? "" },
    { everyMs, skip: after === undefined },
  );
  const older = data?.fineTune?.checkpoints ?? { nodes: [], pageInfo: { hasNextPage: false, endCursor: null } };
  const page = after === undefined ? run.checkpoints : older;
  const { hasNextPage, endCursor } = page.pageInfo;
  const [first, last] = [page.nodes[0], page.nodes.at(-1)];
  const pager = (after !== undefined || hasNextPage) && (
    <div class="actions pages">
      <span class="muted" role="status">
        {first && last
          ? `Steps ${formatInteger(first.step)} to ${formatInteger(last.step)}`
          : loading
            ? "Loading…"
            : "There are no older ones."}
      </span>
      <button type="button" disabled={after === undefined} onClick={() => setLeft(left.slice(0, -1))}>
        Newer checkpoints
      </button>
      <button
        type="button"
        disabled={!hasNextPage || endCursor === null}
        onClick={() => endCursor !== null && setLeft([...left, endCursor])}
      >
        Older checkpoints
      </button>
    </div>
  );
  return { page, failure, pager };
}

function columnsOf(run: Run, best: Checkpoint | null): Column<Checkpoint>[] {
  const measure = measureOf(run.hyperparameters.bestMetric, run.evaluations);
  const measured = (kind: string, { step }: Checkpoint) =>
    run.evaluations.find((one) => one.kind === kind && one.step === step);
  const valueOf = (kind: string, checkpoint: Checkpoint) => {
    const found = measured(kind, checkpoint);
    return found && measure.of(found);
  };
  const { format } = measure;
  return [
    {
      title: "Step",
      sortBy: ({ step }) => step,
      cell: ({ id, step, aliases }) => (
        <>
          {formatInteger(step)}
          {id === best?.id && <span class="tag best">best</span>}
          {aliases.map((alias) => (
            <span key={alias} class="tag">
              {alias}
            </span>
          ))}
        </>
      ),
    },
    {
      title: measure.better === "lower" ? titleOf(measure) : `Validation ${measure.name}`,
      number: true,
      sortBy: (one) => valueOf("VALIDATION", one),
      cell: (one) => format(valueOf("VALIDATION", one)),
    },
    { title: "Test", number: true, sortBy: (one) => valueOf("TEST", one), cell: (one) => format(valueOf("TEST", one)) },
    {
      title: "Log",
      number: true,
      cell: ({ logUrl, entries, logBytes }) => (
        <Download url={logUrl} name={`${run.name}-${entries}.steplog`}>
          {formatBytes(logBytes)}
        </Download>
      ),
    },
    { title: "Weights", cell: (checkpoint) => <Weights run={run} checkpoint={checkpoint} /> },
    { title: "Actions", cell: (checkpoint) => <CheckpointActions run={run} checkpoint={checkpoint} /> },
  ];
}
