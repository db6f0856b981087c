/** Models that are being added from the hub, and what came of the last ones. They go on whoever looks. */
import { useState } from "preact/hooks";
import { asFailure, type Failure } from "../api/failure.ts";
import { change } from "../api/query.ts";
import { modelPath } from "../base.ts";
import { formatBytes, formatShare } from "../format.ts";
import { Problem } from "../parts/problem.tsx";
import { addBaseModel, cancelModelDownload, type ModelsQuery } from "./operations.ts";

export type Download = ModelsQuery["modelDownloads"][number];

export const isUnderWay = ({ status }: Download) => status === "WAITING" || status === "RUNNING";

interface DownloadsProps {
  readonly downloads: readonly Download[];
  readonly mayAdd: boolean;
  readonly onChange: () => void;
}

export function Downloads({ downloads, mayAdd, onChange }: DownloadsProps) {
  const [failure, setFailure] = useState<Failure | null>(null);
  const attempt = async (deed: () => Promise<unknown>) => {
    try {
      await deed();
      setFailure(null);
    } catch (error) {
      setFailure(asFailure(error));
    }
    onChange();
  };
  return (
    <section class="card" aria-label="Models being added">
      <h2>From the hub</h2>
      <ul class="downloads">
        {downloads.map((one) => (
          <li key={one.name}>
            <OneDownload download={one} mayAdd={mayAdd} attempt={(deed) => void attempt(deed)} />
          </li>
        ))}
      </ul>
      {failure && <Problem title="That did not work" failure={failure} />}
    </section>
  );
}

interface OneProps {
  readonly download: Download;
  readonly mayAdd: boolean;
  readonly attempt: (deed: () => Promise<unknown>) => void;
}

function OneDownload({ download, mayAdd, attempt }: OneProps) {
  const { name, repository, revision, status, cancelRequested, error } = download;
  const again = () => change(addBaseModel, { input: { name, repository, revision } });
  const end = () => change(cancelModelDownload, { name });
  return (
    <>
      <div class="toolbar">
        <span class="long">
          {status === "SUCCEEDED" ? <a href={modelPath(name)}>{name}</a> : <strong>{name}</strong>}{" "}
          <span class="muted">
            {repository}
            {revision !== "main" && `@${revision}`}
          </span>
        </span>
        {mayAdd && status === "FAILED" && (
          <button type="button" aria-label={`Try again: ${name}`} onClick={() => attempt(again)}>
            Try again
          </button>
        )}
        {mayAdd && (
          <button
            type="button"
            disabled={cancelRequested && status === "RUNNING"}
            aria-label={`${isUnderWay(download) ? "Cancel" : "Forget"} ${name}`}
            onClick={() => attempt(end)}
          >
            {isUnderWay(download) ? "Cancel" : "Forget"}
          </button>
        )}
      </div>
      {status === "RUNNING" && <Progress download={download} />}
      {error ? (
        <Problem title="It was not added" failure={{ ...error, issues: [] }} />
      ) : (
        <p role="status">{wordsOf(download)}</p>
      )}
    </>
  );
}

function Progress({ download: { name, stage, doneBytes, totalBytes } }: { download: Download }) {
  const share = totalBytes ? (doneBytes ?? 0) / totalBytes : null;
  return (
    <div class="progress">
      <progress max={1} {...(share !== null && { value: share })} aria-label={`${stage ?? "beginning"} ${name}`} />
      <span>{share === null ? "" : formatShare(share)}</span>
    </div>
  );
}

function wordsOf(download: Download): string {
  const { status, cancelRequested, stage, doneBytes, totalBytes } = download;
  if (status === "WAITING") return "Waits for a worker to take it.";
  if (status === "SUCCEEDED") return "Added: runs can start from it.";
  if (status === "CANCELLED") return "Cancelled. Nothing of it is kept.";
  if (cancelRequested) return "Cancelling…";
  const bytes = totalBytes === null ? "" : `: ${formatBytes(doneBytes ?? 0)} of ${formatBytes(totalBytes)}`;
  return `${stageWords[stage ?? ""] ?? "Asking the hub for its files"}${bytes}.${filesInWords(download)}`;
}

function filesInWords({ file, filesDone, filesTotal }: Download): string {
  if (filesDone === null || filesTotal === null) return "";
  const now = file && ` Now ${file.name}: ${formatBytes(file.doneBytes)} of ${formatBytes(file.totalBytes)}.`;
  return ` ${filesDone} of ${filesTotal} files done.${now ?? ""}`;
}

const stageWords: Readonly<Record<string, string>> = {
  downloading: "Downloading",
  converting: "Making safetensors of its files",
  hashing: "Reading it, to know it again",
};
