/** What can be done with a run. The first is what most want next; the others are in a menu. */
import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { canWrite } from "../../../schema/model-kind.ts";
import { asFailure, type Failure } from "../api/failure.ts";
import { change } from "../api/query.ts";
import { useMay } from "../api/viewer.ts";
import { at, comparePath, copyPath, newSweepPath } from "../base.ts";
import { Confirm } from "../parts/confirm.tsx";
import { commands } from "../parts/commands.ts";
import { CopyAs, steplog } from "../parts/copy-as.tsx";
import { copy } from "../parts/copy.ts";
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
  const may = useMay();
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
  const pauseAction: Action = { ...pauseOf(run, onChange, attempt), beside: <CopyPause run={run} /> };
  const cancelAction: Action = { name: "Cancel run", needs: "TRAIN", danger: true, run: () => setAsked("cancel") };
  const actions: Action[] = [
    { name: "Copy to a new run", needs: "TRAIN", run: () => route(copyPath(run.id)) },
    { name: "Sweep from this run", needs: "TRAIN", run: () => route(newSweepPath(run.id)) },
    { name: "Compare with others", run: () => route(comparePath([run.id])) },
    { name: "Rename or tag", needs: "TRAIN", run: () => setAsked("rename") },
    {
      name: run.archivedAt === null ? "Archive" : "Bring back",
      needs: "TRAIN",
      run: () => attempt(archive),
      beside: <CopyArchive run={run} />,
    },
    { name: "Copy id", run: () => void copy(run.id) },
    ...(over || run.cancelRequested ? [] : [pauseAction]),
    ...(over || run.cancelRequested ? [] : [cancelAction]),
    { name: "Delete", needs: "TRAIN", danger: true, run: () => setAsked("delete") },
  ];
  return (
    <>
      {!over && !run.cancelRequested && may("TRAIN") && <Pause run={run} onChange={onChange} attempt={attempt} />}
      {over && may("TRAIN") && <Continue run={run} />}
      {run.checkpoints.nodes.length > 0 && canWrite(run.baseModel) && may("INFER") && (
        <a class="button primary" href={tryPath(run)}>
          Try it
        </a>
      )}
      <MenuButton label="More" name={`More actions of ${run.name}`} actions={actions} />
      {failure && <Problem title="That did not work" failure={failure} />}
      {asked === "rename" && <Rename run={run} onChange={onChange} onClose={() => setAsked(null)} />}
      {asked === "cancel" && (
        <Confirm
          title={`Cancel “${run.name}”?`}
          action="Cancel run"
          danger
          repeat={{
            what: "the end of this run",
            operation: cancelFineTune,
            variables: { id: run.id },
            command: steplog(commands.cancel(run.id)),
          }}
          onConfirm={async () => onChange((await change(cancelFineTune, { id: run.id })).cancelFineTune)}
          onClose={() => setAsked(null)}
        >
          <p>
            {run.status === "RUNNING" ? "The run stops after the current step." : "The run ends here."} The steps done
            so far and their log are kept.
          </p>
        </Confirm>
      )}
      {asked === "delete" && (
        <Confirm
          title={`Delete “${run.name}”?`}
          action="Delete run"
          danger
          repeat={{
            what: "the removal of this run",
            operation: deleteRun,
            variables: { id: run.id, cancel: true },
            command: steplog(commands.deleteRun(run.id)),
          }}
          onConfirm={async () => {
            await change(deleteRun, { id: run.id, cancel: true });
            toast(`“${run.name}” is deleted.`);
            route(at("/"));
          }}
          onClose={() => setAsked(null)}
        >
          <p>
            {!over && "It is cancelled first. "}Its log, checkpoints and evaluations are lost: no checkpoint of it can
            be rebuilt any more.
          </p>
        </Confirm>
      )}
    </>
  );
}

type Attempt = (work: () => Promise<unknown>) => void;

/** What is done next. A run that is to pause may be resumed before it has, and one that is paused goes on. */
const isPaused = ({ status, pauseRequested }: Run) => pauseRequested || status === "PAUSED";

function pauseOf(run: Run, onChange: ActionsProps["onChange"], attempt: Attempt): Action {
  const { id } = run;
  const paused = isPaused(run);
  const act = async () =>
    onChange(
      paused
        ? (await change(resumeFineTune, { id })).resumeFineTune
        : (await change(pauseFineTune, { id })).pauseFineTune,
    );
  return { name: paused ? "Resume" : "Pause", needs: "TRAIN", run: () => attempt(act) };
}

function Pause({ run, onChange, attempt }: ActionsProps & { readonly attempt: Attempt }) {
  const { name, run: act } = pauseOf(run, onChange, attempt);
  return (
    <button type="button" onClick={act}>
      {name}
    </button>
  );
}

function CopyPause({ run }: { run: Run }) {
  const { id } = run;
  return isPaused(run) ? (
    <CopyAs
      what="going on with this run"
      operation={resumeFineTune}
      variables={{ id }}
      command={steplog(commands.resume(id))}
    />
  ) : (
    <CopyAs what="its halt" operation={pauseFineTune} variables={{ id }} command={steplog(commands.pause(id))} />
  );
}

function CopyArchive({ run: { id, archivedAt } }: { run: Run }) {
  const archived = archivedAt === null;
  return (
    <CopyAs
      what="whether lists have this run"
      operation={updateFineTune}
      variables={{ id, input: { archived } }}
      command={steplog(commands.archive(id, archived))}
    />
  );
}
