/** What can be done with a sweep besides comparing its runs. */
import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { change } from "../api/query.ts";
import { at, newSweepPath } from "../base.ts";
import { formatCounted } from "../format.ts";
import { commands } from "../parts/commands.ts";
import { Confirm } from "../parts/confirm.tsx";
import { steplog } from "../parts/copy-as.tsx";
import { copy } from "../parts/copy.ts";
import { MenuButton, type Action } from "../parts/menu.tsx";
import { isFinal } from "../parts/status.tsx";
import { toast } from "../parts/toast.tsx";
import type { SweptRun } from "./metric.ts";
import { cancelSweep, deleteSweep, type SweepQuery } from "./operations.ts";

interface SweepActionsProps {
  readonly sweep: NonNullable<SweepQuery["sweep"]>;
  /** Its best run, once one is measured. */
  readonly best: SweptRun | null;
}

export function SweepActions({ sweep: { id, name, runs }, best }: SweepActionsProps) {
  const { route } = useLocation();
  const [asked, setAsked] = useState<"cancel" | "delete" | null>(null);
  const [withRuns, setWithRuns] = useState(false);
  const open = runs.filter(({ status }) => !isFinal(status)).length;
  const cancelAction: Action = { name: "Cancel its runs", needs: "TRAIN", danger: true, run: () => setAsked("cancel") };
  const actions: Action[] = [
    ...(best
      ? [{ name: "Sweep from its best run", needs: "TRAIN", run: () => route(newSweepPath(best.id)) } as const]
      : []),
    { name: "Copy id", run: () => void copy(id) },
    ...(open > 0 ? [cancelAction] : []),
    { name: "Delete", needs: "TRAIN", danger: true, run: () => setAsked("delete") },
  ];
  return (
    <>
      <MenuButton label="More" name={`More actions of ${name}`} actions={actions} />
      {asked === "cancel" && (
        <Confirm
          title={`Cancel ${formatCounted(open, "run")} of “${name}”?`}
          action="Cancel runs"
          danger
          repeat={{
            what: "the end of its runs",
            operation: cancelSweep,
            variables: { id },
            command: steplog(commands.cancelSweep(id)),
          }}
          onConfirm={() => change(cancelSweep, { id })}
          onClose={() => setAsked(null)}
        >
          <p>Those that train stop after their current step; those that wait never start. What was measured stays.</p>
        </Confirm>
      )}
      {asked === "delete" && (
        <Confirm
          title={`Delete the sweep “${name}”?`}
          action="Delete sweep"
          danger
          repeat={{
            what: "the removal of this sweep",
            operation: deleteSweep,
            variables: { id, runs: withRuns },
            command: steplog(commands.deleteSweep(id, { runs: withRuns })),
          }}
          onConfirm={async () => {
            await change(deleteSweep, { id, runs: withRuns });
            toast(`“${name}” is deleted.`);
            route(at("/sweeps"));
          }}
          onClose={() => setAsked(null)}
        >
          <p>Its runs stay among all runs, unless you say otherwise.</p>
          <p>
            <label class="check">
              <input
                type="checkbox"
                checked={withRuns}
                onChange={({ currentTarget }) => setWithRuns(currentTarget.checked)}
              />
              Delete its {formatCounted(runs.length, "run")} too, with their logs, checkpoints and evaluations
            </label>
          </p>
        </Confirm>
      )}
    </>
  );
}
