/** Adds a dataset: drop a file or choose one, and see how much of it is sent. Rows that are wrong are told with their lines. */
import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { StoredDataset } from "../../../client/browser.ts";
import { asFailure, type Failure } from "../api/failure.ts";
import { useAnswer } from "../api/query.ts";
import { uploadDataset } from "../api/upload.ts";
import { formatBytes } from "../format.ts";
import { CheckedForm } from "../parts/form/checked-form.tsx";
import { Field } from "../parts/form/field.tsx";
import { Sent } from "../parts/sent.tsx";
import { presets } from "./operations.ts";

interface AddProps {
  readonly onStored: (dataset: StoredDataset) => unknown;
  readonly onClose: () => void;
}

/** Of a file of text up to this size, the lines that are wrong are shown. */
const mostShownBytes = 5_000_000;

export function AddDataset({ onStored, onClose }: AddProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const title = useId();
  const [file, setFile] = useState<File | null>(null);
  const [name, setName] = useState("");
  const [preset, setPreset] = useState("");
  const [sent, setSent] = useState<number | null>(null);
  const [outcome, setOutcome] = useState<{ failure: Failure; text: string | undefined } | null>(null);
  const upload = useRef(new AbortController());
  useEffect(() => {
    dialog.current?.showModal();
    return () => upload.current.abort();
  }, []);
  const choose = (chosen: File) => {
    setFile(chosen);
    setOutcome(null);
    if (name === "") setName(chosen.name.replace(/\.(?:jsonl?|parquet|[ct]sv|txt)$/u, ""));
  };
  const store = async (event: Event) => {
    event.preventDefault();
    if (!file) return;
    setOutcome(null);
    setSent(0);
    try {
      const { signal } = upload.current;
      const stored = await uploadDataset({ rows: file, name, preset, onSent: setSent, signal });
      dialog.current?.close();
      await onStored(stored);
    } catch (error) {
      const failure = asFailure(error);
      setOutcome({ failure, text: failure.issues.length > 0 ? await textOf(file) : undefined });
      setSent(null);
    }
  };
  return (
    <dialog ref={dialog} aria-labelledby={title} class="wide" onClose={onClose}>
      <h2 id={title}>Add a dataset</h2>
      <CheckedForm
        title="The dataset was not stored"
        failure={outcome?.failure ?? null}
        text={outcome?.text}
        onSubmit={(event) => void store(event)}
        actions={
          <>
            <button type="button" onClick={() => dialog.current?.close()}>
              {sent === null ? "Close" : "Stop"}
            </button>
            <button type="submit" class="primary" disabled={file === null || sent !== null}>
              Check and store
            </button>
          </>
        }
      >
        <DropZone file={file} onFile={choose} />
        <Field label="Name" name="name">
          {(shared) => (
            <input
              {...shared}
              required
              maxLength={200}
              value={name}
              onInput={({ currentTarget }) => setName(currentTarget.value)}
            />
          )}
        </Field>
        <Format preset={preset} onPreset={setPreset} />
        {sent !== null && <Sent share={sent} />}
      </CheckedForm>
    </dialog>
  );
}

function DropZone({ file, onFile }: { file: File | null; onFile: (file: File) => void }) {
  const [over, setOver] = useState(false);
  const take = (files: FileList | null | undefined) => {
    const [first] = files ?? [];
    if (first) onFile(first);
  };
  return (
    <label
      class={over ? "drop over" : "drop"}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        take(event.dataTransfer?.files);
      }}
    >
      <span>{file ? `${file.name}, ${formatBytes(file.size)}` : "Drop a file here, or choose one"}</span>
      <small class="muted">
        JSON Lines with a prompt and a completion, or a conversation, in each line; CSV with such columns; or parquet.
        At most 256 MiB.
      </small>
      <input
        type="file"
        accept=".jsonl,.json,.csv,.tsv,.parquet,application/jsonl"
        onChange={({ currentTarget }) => take(currentTarget.files)}
      />
    </label>
  );
}

function Format({ preset, onPreset }: { preset: string; onPreset: (preset: string) => void }) {
  const { data } = useAnswer(presets, {});
  return (
    <Field label="Format of the rows" name="preset">
      {(shared) => (
        <select {...shared} value={preset} onChange={({ currentTarget }) => onPreset(currentTarget.value)}>
          <option value="">Prompts and completions, conversations or tokens</option>
          {(data?.datasetPresets ?? []).map(({ name, fields }) => (
            <option key={name} value={name}>
              {name} as published: {fields}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

/** Undefined for files that are large, or no text. */
async function textOf(file: File): Promise<string | undefined> {
  if (file.size > mostShownBytes || file.name.endsWith(".parquet")) return undefined;
  return file.text().catch(() => undefined);
}
