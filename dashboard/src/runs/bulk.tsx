/** What can be done with the runs that are selected. Where some cannot, the others are done, and the page says which failed. */
import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { SteplogError } from "../../../client/browser.ts";
import type { UpdateFineTuneInput } from "../../../client/schema-types.ts";
import type { ErrorCode } from "../../../schema/errors.ts";
import type { Failure } from "../api/failure.ts";
import { change } from "../api/query.ts";
import { comparePath } from "../base.ts";
import { mostCompared } from "../compare/address.ts";
import { formatCounted, formatInteger } from "../format.ts";
import { useShortcuts } from "../keys.ts";
import { commands } from "../parts/commands.ts";
import { Confirm } from "../parts/confirm.tsx";
import { CopyAs, steplog } from "../parts/copy-as.tsx";
import { Problem } from "../parts/problem.tsx";
import { isFinal } from "../parts/status.tsx";
import { toast } from "../parts/toast.tsx";
import { failureOf, forEachRun } from "./for-each.ts";
import { deleteFineTune, labelFineTune, stopFineTune } from "./operations.ts";
import { TagRuns } from "./tag-runs.tsx";
import type { ListedRun, Runs } from "./use-runs.ts";
import type { Selection } from "./use-selection.ts";

interface BulkProps {
  readonly selection: Selection;
  readonly list: Runs;
  /** Whether the key may change runs. Comparing is for everybody. */
  readonly mayChange: boolean;
}

type Asked = "tags" | "cancel" | "delete";

/** What is done of a deed for many. */
interface Doing {
  readonly done: number;
  readonly of: number;
}

/** Does the same to runs, one by one. What failed stays selected. */
type Each = (runs: readonly ListedRun[], deed: string, act: (run: ListedRun) => Promise<unknown>) => Promise<void>;

export function Bulk({ selection, list, mayChange }: BulkProps) {
  const { runs, select } = selection;
  const [asked, setAsked] = useState<Asked | null>(null);
  const [doing, setDoing] = useState<Doing | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const attempt = async (...[of, deed, act]: Parameters<Each>) => {
    setFailure(null);
    setDoing({ done: 0, of: of.length });
    const failed = await forEachRun(of, act, (done) => setDoing({ done, of: of.length }));
    setDoing(null);
    if (failed.length < of.length) toast(`${formatCounted(of.length - failed.length, "run")} ${deed}.`);
    select(failed.map(({ run }) => run.id));
    return failed;
  };
  const eachAndRead: Each = async (...what) => {
    setFailure(failureOf(await attempt(...what)));
    setAsked(null);
    list.reload();
  };
  // What was typed is not lost: its dialog stays, for the runs that are left.
  const tag = async (input: UpdateFineTuneInput) => {
    const act: Parameters<Each>[2] = async ({ id }) =>
      list.change([(await change(labelFineTune, { id, input })).updateFineTune]);
    const refused = failureOf(await attempt(runs, "tagged", act));
    if (refused) throw new SteplogError(refused.code as ErrorCode, refused.message);
    setAsked(null);
  };
  const problem = failure && <Problem title="Not all of it was done" failure={failure} />;
  if (runs.length === 0) return problem;
  const asking = { runs, each: eachAndRead, onClose: () => setAsked(null) };
  return (
    <div class="bulk card" role="group" aria-label="Runs that are selected">
      <strong>{formatCounted(runs.length, "run")} selected</strong>
      <Compare runs={runs} />
      {mayChange && <Changes runs={runs} busy={doing !== null} each={eachAndRead} onAsk={setAsked} />}
      <button type="button" class="quiet" aria-label="Clear the selection" onClick={() => select([])}>
        Clear
      </button>
      {doing && (
        <span class="muted" role="status">
          {formatInteger(doing.done)} of {formatInteger(doing.of)} done
        </span>
      )}
      {problem}
      {asked === "tags" && <TagRuns runs={runs} onTag={tag} onClose={() => setAsked(null)} />}
      {asked === "cancel" && <AskCancel {...asking} />}
      {asked === "delete" && <AskDelete {...asking} />}
    </div>
  );
}

function Compare({ runs }: { runs: readonly ListedRun[] }) {
  const { route } = useLocation();
  const canCompare = runs.length >= 2 && runs.length <= mostCompared;
  const compare = () => {
    if (canCompare) route(comparePath(runs.map(({ id }) => id)));
  };
  useShortcuts([{ keys: "c", does: "Compare the runs that are selected", run: compare }]);
  return (
    <button type="button" disabled={!canCompare} onClick={compare} title="2 to 10 runs">
      Compare
    </button>
  );
}

interface ChangesProps {
  readonly runs: readonly ListedRun[];
  readonly busy: boolean;
  readonly each: Each;
  readonly onAsk: (asked: Asked) => void;
}

function Changes({ runs, busy, each, onAsk }: ChangesProps) {
  const archived = runs.every(({ archivedAt }) => archivedAt !== null);
  const input = { archived: !archived };
  const archive = () =>
    each(runs, archived ? "brought back" : "archived", ({ id }) => change(labelFineTune, { id, input }));
  return (
    <>
      <button type="button" disabled={busy} onClick={() => onAsk("tags")}>
        Tags
      </button>
      <button type="button" disabled={busy} onClick={() => void archive()}>
        {archived ? "Bring back" : "Archive"}
      </button>
      <CopyAs
        what="whether lists have these runs"
        operation={labelFineTune}
        variables={runs.map(({ id }) => ({ id, input }))}
        command={() => steplog(...runs.map(({ id }) => commands.archive(id, !archived)))}
      />
      <button type="button" disabled={busy || openOf(runs).length === 0} onClick={() => onAsk("cancel")}>
        Cancel
      </button>
      <button type="button" class="danger" disabled={busy} onClick={() => onAsk("delete")}>
        Delete
      </button>
    </>
  );
}

const openOf = (runs: readonly ListedRun[]) => runs.filter(({ status }) => !isFinal(status));

interface AskProps {
  readonly runs: readonly ListedRun[];
  readonly each: Each;
  readonly onClose: () => void;
}

function AskCancel({ runs, each, onClose }: AskProps) {
  const open = openOf(runs);
  return (
    <Confirm
      title={`Cancel ${formatCounted(open.length, "run")}?`}
      action="Cancel them"
      danger
      repeat={{
        what: "the end of these runs",
        operation: stopFineTune,
        variables: open.map(({ id }) => ({ id })),
        command: () => steplog(...open.map(({ id }) => commands.cancel(id))),
      }}
      onConfirm={() => each(open, "cancelled", ({ id }) => change(stopFineTune, { id }))}
      onClose={onClose}
    >
      <p>They stop after their current step. The steps done so far and their logs are kept.</p>
    </Confirm>
  );
}

function AskDelete({ runs, each, onClose }: AskProps) {
  return (
    <Confirm
      title={`Delete ${formatCounted(runs.length, "run")}?`}
      action="Delete them"
      danger
      repeat={{
        what: "the removal of these runs",
        operation: deleteFineTune,
        variables: runs.map(({ id }) => ({ id, cancel: true })),
        command: () => steplog(...runs.map(({ id }) => commands.deleteRun(id))),
      }}
      onConfirm={() => each(runs, "deleted", ({ id }) => change(deleteFineTune, { id, cancel: true }))}
      onClose={onClose}
    >
      <p>
        Their logs, checkpoints and evaluations are lost. What another run continues from, or an alias names, stays.
      </p>
    </Confirm>
  );
}
