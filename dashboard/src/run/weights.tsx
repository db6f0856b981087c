/** The weights of a checkpoint as they were trained: their files, or a button that has them rebuilt from the log. */
import { useState } from "preact/hooks";
import { asFailure, type Failure } from "../api/failure.ts";
import { change } from "../api/query.ts";
import { useMay } from "../api/viewer.ts";
import { formatBytes, formatCounted, formatInteger } from "../format.ts";
import { Problem } from "../parts/problem.tsx";
import { Download } from "./download.tsx";
import { materialiseCheckpoint } from "./operations.ts";
import type { Checkpoint, Run } from "./run-state.ts";

export function useRebuild(id: string) {
  const [asked, setAsked] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
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
  return { asked, failure, rebuild };
}

export function Weights({ run, checkpoint }: { run: Run; checkpoint: Checkpoint }) {
  const { id, entries, step, weightsStatus, weightsUrl, weightsBytes, weightsFiles, weightsError } = checkpoint;
  const { asked, failure, rebuild } = useRebuild(id);
  const mayTrain = useMay()("TRAIN");
  if (weightsFiles.length > 0) {
    return (
      <>
        {weightsUrl !== null && (
          <Download url={weightsUrl} name={`${run.name}-${entries}.safetensors`}>
            .safetensors
          </Download>
        )}
        <Files files={weightsFiles} bytes={weightsBytes} />
      </>
    );
  }
  if (weightsStatus === "QUEUED") return <span role="status">{checkpoint.weightsWaitingReason ?? "Rebuilding…"}</span>;
  return (
    <>
      {weightsError !== null && <span class="bad long">{weightsError} </span>}
      {mayTrain && (
        <button
          type="button"
          class="quiet"
          disabled={asked}
          onClick={() => void rebuild()}
          aria-label={`Rebuild the weights of step ${formatInteger(step)}`}
        >
          Rebuild
        </button>
      )}
      {!mayTrain && weightsError === null && <span class="muted">not rebuilt</span>}
      {failure && <Problem title="The weights are not rebuilt" failure={failure} />}
    </>
  );
}

interface FilesProps {
  readonly files: Checkpoint["weightsFiles"];
  readonly bytes: number | null;
}

export function Files({ files, bytes }: FilesProps) {
  return (
    <details>
      <summary>
        {formatCounted(files.length, "file")}, {bytes !== null && formatBytes(bytes)}
      </summary>
      <ul>
        {files.map(({ name, url }) => (
          <li key={name}>
            <Download url={url} name={name} />
          </li>
        ))}
      </ul>
    </details>
  );
}
