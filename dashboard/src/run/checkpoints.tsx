/** Checkpoints of a run: downloads of logs and weights, and forks. */
import { useState } from "preact/hooks";
import { client, download } from "../api/client.ts";
import { readKey } from "../api/session.ts";
import { materialiseCheckpoint, type ResultsFragment } from "./operations.ts";
import { formatBytes, formatCounted, formatInteger } from "../format.ts";
import { asFailure, type Failure } from "../api/failure.ts";
import { Problem } from "../parts/problem.tsx";
import { Fork } from "./fork.tsx";
import type { Run } from "./run-state.ts";

type Checkpoint = ResultsFragment["checkpoints"]["nodes"][number];

export function Checkpoints({ run }: { run: Run }) {
  const [failure, setFailure] = useState<Failure | null>(null);
  const { nodes, pageInfo } = run.checkpoints;
  const { bytes } = run.baseModel;
  return (
    <section class="card">
      <h2>Checkpoints</h2>
      <p class="muted">
        A .steplog file and the base model ({formatBytes(bytes)}) are enough to rebuild the fine-tuned weights, bit for
        bit.
      </p>
      {failure && <Problem title="The request failed" failure={failure} />}
      {nodes.length === 0 && <p>None yet. There is always a checkpoint after the last step.</p>}
      {nodes.length > 0 && (
        <table class="stacking">
          <thead>
            <tr>
              <th scope="col">Step</th>
              <th scope="col">Log</th>
              <th scope="col">Weights</th>
              <th scope="col">Chain hash</th>
              <th scope="col">Fork</th>
            </tr>
          </thead>
          <tbody>
            {nodes.map((checkpoint) => (
              <CheckpointRow key={checkpoint.id} {...{ run, checkpoint, setFailure }} />
            ))}
          </tbody>
        </table>
      )}
      {pageInfo.hasNextPage && <p class="muted">Older checkpoints are available through the API.</p>}
    </section>
  );
}

interface RowProps {
  readonly run: Run;
  readonly checkpoint: Checkpoint;
  readonly setFailure: (failure: Failure | null) => void;
}

function CheckpointRow({ run, checkpoint, setFailure }: RowProps) {
  const { entries, step, logUrl, logBytes, chainHash } = checkpoint;
  const times = Math.round(run.baseModel.bytes / logBytes);
  return (
    <tr>
      <th scope="row" data-label="Step">
        {formatInteger(step)}
      </th>
      <td data-label="Log">
        <Download url={logUrl} name={`${run.name}-${entries}.steplog`} onFailure={setFailure}>
          .steplog
        </Download>{" "}
        {formatBytes(logBytes)}
        {times >= 2 && <span class="muted">, {formatInteger(times)} times smaller than the base model</span>}
      </td>
      <td data-label="Weights">
        <Weights {...{ run, checkpoint, setFailure }} />
      </td>
      <td data-label="Chain hash">
        <code title={chainHash}>{chainHash.slice(0, 12)}…</code>
      </td>
      <td data-label="Fork">
        <Fork {...{ run, checkpoint }} />
      </td>
    </tr>
  );
}

function Weights({ run, checkpoint, setFailure }: RowProps) {
  const [asked, setAsked] = useState(false);
  const { id, entries, step, weightsStatus, weightsUrl, weightsBytes, weightsFiles, weightsError } = checkpoint;
  const rebuild = async () => {
    setAsked(true);
    try {
      await client.query(materialiseCheckpoint, { id });
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
          <Download url={weightsUrl} name={`${run.name}-${entries}.safetensors`} onFailure={setFailure}>
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
                <Download url={url} name={name} onFailure={setFailure}>
                  {name}
                </Download>
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
        disabled={asked}
        onClick={() => void rebuild()}
        aria-label={`Rebuild the weights of step ${step}`}
      >
        Rebuild
      </button>
    </>
  );
}

interface DownloadProps {
  readonly url: string;
  readonly name: string;
  readonly onFailure: (failure: Failure | null) => void;
  readonly children: string;
}

function Download({ url, name, onFailure, children }: DownloadProps) {
  const save = (event: MouseEvent) => {
    if (readKey() === "") return;
    event.preventDefault();
    download(url, name).then(
      () => onFailure(null),
      (error: unknown) => onFailure(asFailure(error)),
    );
  };
  return (
    <a href={url} download={name} onClick={save} aria-label={`Download ${name}`}>
      {children}
    </a>
  );
}
