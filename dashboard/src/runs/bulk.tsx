/** What can be done with the runs that are selected. Where some cannot, the others are done, and the page says which failed. */
import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { asFailure, type Failure } from "../api/failure.ts";
import { change } from "../api/query.ts";
import { comparePath } from "../base.ts";
import { mostCompared } from "../compare/address.ts";
import { formatCounted } from "../format.ts";
import { useShortcuts } from "../keys.ts";
import { Confirm } from "../parts/confirm.tsx";
import { Problem } from "../parts/problem.tsx";
import { isFinal } from "../parts/status.tsx";
import { toast } from "../parts/toast.tsx";
import { archiveFineTune, deleteFineTune, stopFineTune } from "./operations.ts";
import type { ListedRun } from "./use-runs.ts";

interface BulkProps {
  readonly runs: readonly ListedRun[];
  readonly onDone: () => void;
  readonly onClear: () => void;
}

export function Bulk({ runs, onDone, onClear }: BulkProps) {
  const { route } = useLocation();
  const [asked, setAsked] = useState<"cancel" | "delete" | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const open = runs.filter(({ status }) => !isFinal(status));
  const archived = runs.every(({ archivedAt }) => archivedAt !== null);
  const canCompare = runs.length >= 2 && runs.length <= mostCompared;
  const compare = () => {
    if (canCompare) route(comparePath(runs.map(({ id }) => id)));
  };
  useShortcuts([{ keys: "c", does: "Compare the runs that are selected", run: compare }]);

  const each = async (of: readonly ListedRun[], deed: string, act: (run: ListedRun) => Promise<unknown>) => {
    const results = await Promise.allSettled(of.map(act));
    const failures = results.flatMap((result, index) =>
      result.status === "rejected" ? [{ run: of[index]?.name ?? "", failure: asFailure(result.reason) }] : [],
    );
    const first = failures[0];
    setFailure(
      first
        ? {
            ...first.failure,
            message: failures.map(({ run, failure: { message } }) => `“${run}”: ${message}`).join(" "),
          }
        : null,
    );
    setAsked(null);
    if (failures.length < of.length) toast(`${formatCounted(of.length - failures.length, "run")} ${deed}.`);
    onDone();
  };
  const problem = failure && <Problem title="Not all of it was done" failure={failure} />;
  if (runs.length === 0) return problem;
  return (
    <div class="bulk card" role="group" aria-label="Runs that are selected">
      <strong>{formatCounted(runs.length, "run")} selected</strong>
      <button type="button" disabled={!canCompare} onClick={compare} title="2 to 10 runs">
        Compare
      </button>
      <button
        type="button"
        onClick={() =>
          void each(runs, archived ? "brought back" : "archived", ({ id }) =>
            change(archiveFineTune, { id, input: { archived: !archived } }),
          )
        }
      >
        {archived ? "Bring back" : "Archive"}
      </button>
      <button type="button" disabled={open.length === 0} onClick={() => setAsked("cancel")}>
        Cancel
      </button>
      <button type="button" class="danger" onClick={() => setAsked("delete")}>
        Delete
      </button>
      <button type="button" class="quiet" onClick={onClear}>
        Clear the selection
      </button>
      {problem}
      {asked === "cancel" && (
        <Confirm
          title={`Cancel ${formatCounted(open.length, "run")}?`}
          action="Cancel them"
          danger
          onConfirm={() => each(open, "cancelled", ({ id }) => change(stopFineTune, { id }))}
          onClose={() => setAsked(null)}
        >
          <p>They stop after their current step. The steps done so far and their logs are kept.</p>
        </Confirm>
      )}
      {asked === "delete" && (
        <Confirm
          title={`Delete ${formatCounted(runs.length, "run")}?`}
          action="Delete them"
          danger
          onConfirm={() => each(runs, "deleted", ({ id }) => change(deleteFineTune, { id, cancel: true }))}
          onClose={() => setAsked(null)}
        >
          <p>
            Their logs, checkpoints and evaluations are lost. What another run continues from, or an alias names, stays.
          </p>
        </Confirm>
      )}
    </div>
  );
}
