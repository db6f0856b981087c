import { useState } from "preact/hooks";
import type { DatasetPreset, StoredDataset } from "../../../client/browser.ts";
import { client } from "../api/client.ts";
import type { ChoicesQuery } from "./operations.ts";
import { formatCounted } from "../format.ts";
import { CheckedForm } from "../parts/form/checked-form.tsx";
import { Field } from "../parts/form/field.tsx";
import { asFailure, type Failure } from "../api/failure.ts";

const example = '{"prompt": "A joy from start to end. It was", "completion": " great"}';

type Outcome = { readonly stored: StoredDataset } | { readonly failure: Failure; readonly text: string | undefined };

interface FormProps {
  readonly presets: ChoicesQuery["datasetPresets"];
  /** Resolves when the dataset can be selected; the form shows "Stored" after that. */
  readonly onStored: (dataset: StoredDataset) => Promise<void>;
}

export function DatasetForm({ presets, onStored }: FormProps) {
  const [name, setName] = useState("");
  const [text, setText] = useState("");
  const [file, setFile] = useState<File | null>(null);
  const [preset, setPreset] = useState<DatasetPreset | "">("");
  const [busy, setBusy] = useState(false);
  const [outcome, setOutcome] = useState<Outcome | null>(null);

  const store = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setOutcome(null);
    try {
      const stream = file ?? new Blob([text]);
      const stored = await client.createDataset({ name, stream, ...(preset !== "" && { preset }) });
      await onStored(stored);
      setOutcome({ stored });
    } catch (error) {
      setOutcome({ failure: asFailure(error), text: file ? undefined : text });
    }
    setBusy(false);
  };
  const choose = (chosen: File | null) => {
    setFile(chosen);
    if (chosen && name === "") setName(chosen.name.replace(/\.(?:jsonl?|parquet)$/u, ""));
  };
  return (
    <section class="card">
      <h2>1. Dataset</h2>
      <p class="muted">
        JSON Lines, one object per line, such as <code>{example}</code>; or a parquet file. Skip this step if your
        dataset is already stored.
      </p>
      <CheckedForm
        title="The dataset was not stored"
        failure={outcome && "failure" in outcome ? outcome.failure : null}
        text={outcome && "failure" in outcome ? outcome.text : undefined}
        onSubmit={(event) => void store(event)}
        actions={
          <button type="submit" disabled={busy}>
            {busy ? "Checking…" : "Check and store"}
          </button>
        }
      >
        <Field label="Dataset name" name="name">
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
        <label>
          Rows
          <textarea
            rows={7}
            spellcheck={false}
            placeholder={example}
            disabled={file !== null}
            required={file === null}
            value={text}
            onInput={({ currentTarget }) => setText(currentTarget.value)}
          />
        </label>
        <label>
          Or a file
          <input
            type="file"
            accept=".jsonl,.json,.parquet,application/jsonl"
            onChange={({ currentTarget }) => choose(currentTarget.files?.[0] ?? null)}
          />
        </label>
        <label>
          Format of the rows
          <select value={preset} onChange={({ currentTarget }) => setPreset(currentTarget.value as DatasetPreset | "")}>
            <option value="">Prompts and completions, conversations or tokens</option>
            {presets.map((known) => (
              <option key={known.name} value={known.name}>
                {known.name} as published: {known.fields}
              </option>
            ))}
          </select>
        </label>
      </CheckedForm>
      <div role="status">
        {outcome && "stored" in outcome && (
          <p class="good">
            Stored “{outcome.stored.name}”: {formatCounted(outcome.stored.rows, "row")}.
          </p>
        )}
      </div>
    </section>
  );
}
