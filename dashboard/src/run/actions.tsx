/** What can be done with a run. The first is what most want next; the others are in a menu. */
import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { asFailure, type Failure } from "../api/failure.ts";
import { change } from "../api/query.ts";
import { at, comparePath } from "../base.ts";
import { Confirm } from "../parts/confirm.tsx";
import { copy } from "../parts/copy-as.tsx";
import { MenuButton, type Action } from "../parts/menu.tsx";
import { Problem } from "../parts/problem.tsx";
import { isFinal } from "../parts/status.tsx";
import { toast } from "../parts/toast.tsx";
import { Continue } from "./continue.tsx";
import { cancelFineTune, deleteRun, pauseFineTune, resumeFineTune, updateFineTune } from "./operations.ts";
import { Rename } from "./rename.tsx";
import type { Run } from "./run-state.ts";
import { tryPath } from "./try-path.ts";

interface ActionsProps {
  readonly run: Run;
  readonly onChange: (run: Partial<Run>) => void;
}

type Asked = "cancel" | "delete" | "rename";

export function Actions({ run, onChange }: ActionsProps) {
  const { route } = useLocation();
  const [asked, setAsked] = useState<Asked | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const over = isFinal(run.status);
  const attempt = (work: () => Promise<unknown>) => {
    setFailure(null);
    work().catch((error: unknown) => setFailure(asFailure(error)));
  };
  const archive = async () => {
    const archived = run.archivedAt === null;
    onChange((await change(updateFineTune, { id: run.id, input: { archived } })).updateFineTune);
    toast(archived ? "Archived." : "Brought back.");
  };
  const actions: Action[] = [
    { name: "Copy to a new run", run: () => route(at(`/new?from=${encodeURIComponent(run.id)}`)) },
    { name: "Compare with others", run: () => route(comparePath([run.id])) },
    { name: "Rename or tag", run: () => setAsked("rename") },
    { name: run.archivedAt === null ? "Archive" : "Bring back", run: () => attempt(archive) },
    { name: "Copy id", run: () => void copy(run.id) },
    ...(over || run.cancelRequested ? [] : [{ name: "Cancel run", danger: true, run: () => setAsked("cancel") }]),
    { name: "Delete", danger: true, run: () => setAsked("delete") },
  ];
  return (
    <>
      {!over && !run.cancelRequested && <Pause run={run} onChange={onChange} attempt={attempt} />}
      {over && <Continue run={run} />}
      {run.checkpoints.nodes.length > 0 && (
        <a class="button primary" href={tryPath(run)}>
          Try it
        </a>
      )}
      <MenuButton label="More" name={`More actions of ${run.name}`} actions={actions} />
      {failure && <Problem title="It did not happen" failure={failure} />}
      {asked === "rename" && <Rename run={run} onChange={onChange} onClose={() => setAsked(null)} />}
      {asked === "cancel" && (
        <Confirm
          title={`Cancel “${run.name}”?`}
          action="Cancel run"
          danger
          onConfirm={async () => onChange((await change(cancelFineTune, { id: run.id })).cancelFineTune)}
          onClose={() => setAsked(null)}
        >
          <p>The run stops after the current step. The steps done so far and their log are kept.</p>
        </Confirm>
      )}
      {asked === "delete" && (
        <Confirm
          title={`Delete “${run.name}”?`}
          action="Delete run"
          danger
          onConfirm={async () => {
            await change(deleteRun, { id: run.id, cancel: true });
            toast(`“${run.name}” is deleted.`);
            route(at("/"));
          }}
          onClose={() => setAsked(null)}
        >
          <p>Its log, checkpoints and evaluations are lost: no checkpoint of it can be rebuilt any more.</p>
        </Confirm>
      )}
    </>
  );
}

interface PauseProps extends ActionsProps {
  readonly attempt: (work: () => Promise<unknown>) => void;
}

/** A run that is to pause may be resumed before it has. */
function Pause({ run: { id, pauseRequested }, onChange, attempt }: PauseProps) {
  const act = async () =>
    onChange(
      pauseRequested
        ? (await change(resumeFineTune, { id })).resumeFineTune
        : (await change(pauseFineTune, { id })).pauseFineTune,
    );
  return (
    <button type="button" onClick={() => attempt(act)}>
      {pauseRequested ? "Resume" : "Pause"}
    </button>
  );
}
