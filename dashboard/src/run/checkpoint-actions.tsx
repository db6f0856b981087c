/** What can be done with a checkpoint. */
import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { canWrite } from "../../../schema/model-kind.ts";
import { change } from "../api/query.ts";
import { formatInteger } from "../format.ts";
import { Confirm } from "../parts/confirm.tsx";
import { commands } from "../parts/commands.ts";
import { CopyAs, steplog } from "../parts/copy-as.tsx";
import { copy } from "../parts/copy.ts";
import { MenuButton, type Action } from "../parts/menu.tsx";
import { Problem } from "../parts/problem.tsx";
import { Alias, RemoveAlias, RollBackAlias } from "./alias.tsx";
import { Evaluate } from "./evaluate.tsx";
import { Fork } from "./fork.tsx";
import { deleteCheckpoint, materialiseCheckpoint } from "./operations.ts";
import { OtherForms } from "./other-forms.tsx";
import type { Checkpoint, Run } from "./run-state.ts";
import { tryPath } from "./try-path.ts";
import { useRebuild } from "./weights.tsx";

interface ActionsProps {
  readonly run: Run;
  readonly checkpoint: Checkpoint;
}

const questions = {
  alias: Alias,
  delete: Delete,
  evaluate: Evaluate,
  fork: Fork,
  forms: OtherForms,
  remove: RemoveAlias,
  rollBack: RollBackAlias,
} as const;

type Deed = keyof typeof questions;

interface Asked {
  readonly deed: Deed;
  /** That it is about, where it is about one. */
  readonly alias?: string;
}

export function CheckpointActions({ run, checkpoint }: ActionsProps) {
  const { route } = useLocation();
  const [asked, setAsked] = useState<Asked | null>(null);
  const { rebuild, failure } = useRebuild(checkpoint.id);
  const { id, step, aliases, chainHash } = checkpoint;
  const asks = (deed: Deed, alias?: string) => () => setAsked({ deed, ...(alias !== undefined && { alias }) });
  const tryIt: Action = { name: "Try it", needs: "INFER", run: () => route(tryPath(run, id)) };
  const actions: Action[] = [
    ...(canWrite(run.baseModel) ? [tryIt] : []),
    { name: "Fork", needs: "TRAIN", run: asks("fork") },
    { name: "Evaluate on a dataset", needs: "INFER", run: asks("evaluate") },
    { name: "Rebuild the weights", needs: "TRAIN", run: () => void rebuild(), beside: <CopyRebuild id={id} /> },
    { name: "Weights in other forms", needs: "TRAIN", run: asks("forms") },
    { name: "Give it an alias", needs: "WRITE", run: asks("alias") },
    ...aliases.flatMap((alias): Action[] => [
      { name: `Roll back “${alias}”`, needs: "WRITE", run: asks("rollBack", alias) },
      { name: `Remove “${alias}”`, needs: "WRITE", danger: true, run: asks("remove", alias) },
    ]),
    { name: "Copy id", run: () => void copy(id) },
    { name: "Copy chain hash", run: () => void copy(chainHash) },
    { name: "Delete", needs: "TRAIN", danger: true, run: asks("delete") },
  ];
  return (
    <>
      <MenuButton label="Actions" name={`Actions of step ${formatInteger(step)}`} actions={actions} />
      {failure && <Problem title="The weights are not rebuilt" failure={failure} />}
      {asked && <Question run={run} checkpoint={checkpoint} asked={asked} onClose={() => setAsked(null)} />}
    </>
  );
}

const CopyRebuild = ({ id }: { id: string }) => (
  <CopyAs
    what="the rebuild of these weights"
    operation={materialiseCheckpoint}
    variables={{ id }}
    command={steplog(commands.rebuild(id))}
  />
);

interface QuestionProps extends ActionsProps {
  readonly asked: Asked;
  readonly onClose: () => void;
}

/** What is asked before something is done. */
function Question({ asked: { deed, alias = "" }, ...shared }: QuestionProps) {
  const Asks = questions[deed];
  return <Asks {...shared} name={alias} />;
}

function Delete({ checkpoint: { id, step }, onClose }: Omit<QuestionProps, "asked">) {
  return (
    <Confirm
      title={`Delete the checkpoint of step ${formatInteger(step)}?`}
      action="Delete checkpoint"
      danger
      repeat={{
        what: "the removal of this checkpoint",
        operation: deleteCheckpoint,
        variables: { id },
        command: steplog(commands.deleteCheckpoint(id)),
      }}
      onConfirm={() => change(deleteCheckpoint, { id })}
      onClose={onClose}
    >
      <p>Its weights and exports are lost. The log of the run stays, and so do its other checkpoints.</p>
    </Confirm>
  );
}
