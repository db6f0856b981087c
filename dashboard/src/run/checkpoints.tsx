/** Checkpoints of a run: how good each is, its log and weights, and what can be done with it. */
import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { asFailure, type Failure } from "../api/failure.ts";
import { change } from "../api/query.ts";
import { formatBytes, formatCounted, formatInteger, formatLoss, formatShare } from "../format.ts";
import { Confirm } from "../parts/confirm.tsx";
import { copy } from "../parts/copy-as.tsx";
import { DataTable, type Column } from "../parts/data-table.tsx";
import { MenuButton } from "../parts/menu.tsx";
import { Problem } from "../parts/problem.tsx";
import { Alias } from "./alias.tsx";
import { Download } from "./download.tsx";
import { Fork } from "./fork.tsx";
import { deleteCheckpoint, materialiseCheckpoint, type ResultsFragment } from "./operations.ts";
import type { Run } from "./run-state.ts";
import { tryPath } from "./try-path.ts";

export type Checkpoint = ResultsFragment["checkpoints"]["nodes"][number];

export function Checkpoints({ run }: { run: Run }) {
  const { nodes, pageInfo } = run.checkpoints;
  const judged = run.evaluations.some(({ accuracy, f1 }) => accuracy !== null || f1 !== null);
  const measured = (kind: string, { step }: Checkpoint) =>
    run.evaluations.find((one) => one.kind === kind && one.step === step);
  const valueOf = (kind: string, checkpoint: Checkpoint) => {
    const found = measured(kind, checkpoint);
    return found && (judged ? (found.f1 ?? found.accuracy) : found.loss);
  };
  const format = judged ? formatShare : formatLoss;
  const columns: Column<Checkpoint>[] = [
    {
      title: "Step",
      sortBy: ({ step }) => step,
      cell: ({ step, aliases }) => (
        <>
          {formatInteger(step)}
          {step === run.bestEvaluation?.step && <span class="tag best">best</span>}
          {aliases.map((alias) => (
            <span key={alias} class="tag">
              {alias}
            </span>
          ))}
        </>
      ),
    },
    {
      title: judged ? "Validation" : "Validation loss",
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
  return (
    <section class="card">
      <h2>Checkpoints</h2>
      <DataTable
        name="Checkpoints"
        columns={columns}
        rows={nodes}
        keyOf={({ id }) => id}
        empty="None yet. There is always one after the last step."
      />
      {pageInfo.hasNextPage && <p class="muted">Older checkpoints are available through the API.</p>}
    </section>
  );
}

interface CheckpointProps {
  readonly run: Run;
  readonly checkpoint: Checkpoint;
}

function CheckpointActions({ run, checkpoint }: CheckpointProps) {
  const { route } = useLocation();
  const [asked, setAsked] = useState<"alias" | "delete" | "fork" | null>(null);
  const { id, step, chainHash } = checkpoint;
  const close = () => setAsked(null);
  return (
    <>
      <MenuButton
        label="Actions"
        name={`Actions of step ${step}`}
        actions={[
          { name: "Try it", run: () => route(tryPath(run, id)) },
          { name: "Fork", run: () => setAsked("fork") },
          { name: "Give it an alias", run: () => setAsked("alias") },
          { name: "Copy id", run: () => void copy(id) },
          { name: "Copy chain hash", run: () => void copy(chainHash) },
          { name: "Delete", danger: true, run: () => setAsked("delete") },
        ]}
      />
      {asked === "fork" && <Fork run={run} checkpoint={checkpoint} onClose={close} />}
      {asked === "alias" && <Alias checkpoint={checkpoint} onClose={close} />}
      {asked === "delete" && (
        <Confirm
          title={`Delete the checkpoint of step ${formatInteger(step)}?`}
          action="Delete checkpoint"
          danger
          onConfirm={() => change(deleteCheckpoint, { id })}
          onClose={close}
        >
          <p>Its weights and exports are lost. The log of the run stays, and so do its other checkpoints.</p>
        </Confirm>
      )}
    </>
  );
}

function Weights({ run, checkpoint }: CheckpointProps) {
  const [asked, setAsked] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  const { id, entries, step, weightsStatus, weightsUrl, weightsBytes, weightsFiles, weightsError } = checkpoint;
  const rebuild = async () => {
    setAsked(true);
    try {
      await change(materialiseCheckpoint, { id });
      setFailure(null);
    } catch (error) {
      setFailure(asFailure(error));
    }
    setAsked(false);
  };
  if (weightsFiles.length > 0) {
    return (
      <>
        {weightsUrl !== null && (
          <Download url={weightsUrl} name={`${run.name}-${entries}.safetensors`}>
            .safetensors
          </Download>
        )}
        <details>
          <summary>
            {formatCounted(weightsFiles.length, "file")}, {weightsBytes !== null && formatBytes(weightsBytes)}
          </summary>
          <ul>
            {weightsFiles.map(({ name, url }) => (
              <li key={name}>
                <Download url={url} name={name} />
              </li>
            ))}
          </ul>
        </details>
      </>
    );
  }
  if (weightsStatus === "QUEUED") return <span role="status">{checkpoint.weightsWaitingReason ?? "Rebuilding…"}</span>;
  return (
    <>
      {weightsError !== null && <span class="bad long">{weightsError} </span>}
      <button
        type="button"
        class="quiet"
        disabled={asked}
        onClick={() => void rebuild()}
        aria-label={`Rebuild the weights of step ${step}`}
      >
        Rebuild
      </button>
      {failure && <Problem title="The weights are not rebuilt" failure={failure} />}
    </>
  );
}
