/** Rows that are pasted or in a file: what they seem to be, how they are split, and storing them. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { DatasetPreset } from "../../../client/browser.ts";
import { asFailure, type Failure } from "../api/failure.ts";
import { needsScope, useMay } from "../api/viewer.ts";
import { formatBytes } from "../format.ts";
import { CheckedForm } from "../parts/form/checked-form.tsx";
import { Field } from "../parts/form/field.tsx";
import { Sent } from "../parts/sent.tsx";
import type { Change, Draft, NamedRows } from "./draft.ts";
import { useIdempotencyKey } from "./keys.ts";
import type { ChoicesQuery } from "./operations.ts";
import { recognise, type Seen, type Start } from "./rows.ts";
import { partsInWords } from "./split.ts";
import { Splits } from "./splits.tsx";
import { largestSplit, rowsNameOf, rowsOf, shareIssues, storeRows } from "./store-rows.ts";

const example = '{"prompt": "A joy from start to end. It was", "completion": " great"}';

interface OwnRowsProps {
  readonly draft: Draft;
  readonly change: Change;
  /** Null while it is read. */
  readonly start: Start | null;
  readonly presets: ChoicesQuery["datasetPresets"];
  readonly datasets: readonly NamedRows[];
  readonly onDone: () => void;
  /** What is asked and shown once there are rows. */
  readonly children: ComponentChildren;
}

export function OwnRows({ draft, change, start, presets, datasets, onDone, children }: OwnRowsProps) {
  const mayStore = useMay()("WRITE");
  const [sent, setSent] = useState<number | null>(null);
  const upload = useRef(new AbortController());
  useEffect(() => () => upload.current.abort(), []);
  const [failure, setFailure] = useState<Failure | null>(null);
  const keys = useKeys(draft);
  const seen = start && recognise(start, presets);
  const form = formOf(seen, rowsOf(draft).size);
  useEffect(() => change({ form }), [form]);
  const store = async () => {
    const issues = shareIssues(draft);
    setFailure(issues.length > 0 ? { code: "INVALID_ARGUMENT", message: "See the marked fields.", issues } : null);
    if (issues.length > 0) return;
    setSent(0);
    try {
      const { signal } = upload.current;
      change({ stored: await storeRows(draft, { keyOf: keys, onSent: setSent, signal }) });
      onDone();
    } catch (error) {
      setFailure(asFailure(error));
    }
    setSent(null);
  };
  return (
    <CheckedForm
      title="The rows were not stored"
      failure={failure}
      text={draft.file ? undefined : draft.text}
      onSubmit={(event) => {
        event.preventDefault();
        void store();
      }}
      actions={
        draft.stored ? (
          <p class="good">
            Stored “{rowsNameOf(draft)}”: {partsInWords(draft.stored)}.
          </p>
        ) : (
          <>
            {sent !== null && <Sent share={sent} />}
            {mayStore ? (
              <button type="submit" class="primary" disabled={sent !== null}>
                Store and continue
              </button>
            ) : (
              <p class="muted">Your key may not store rows: choose stored ones, or {needsScope("WRITE")}.</p>
            )}
          </>
        )
      }
    >
      <Rows draft={draft} change={change} />
      {start === null && <p role="status">Reading the file…</p>}
      {seen && (
        <p role="status">
          <strong>Format:</strong> {draft.preset === "" ? seen.words : `${draft.preset} as published.`}
        </p>
      )}
      {children}
      <div class="grid">
        <Field label="Dataset name" name="rowsName">
          {(shared) => (
            <input
              {...shared}
              required
              maxLength={200}
              value={rowsNameOf(draft)}
              onInput={({ currentTarget }) => change({ rowsName: currentTarget.value })}
            />
          )}
        </Field>
        <Field label="Format of the rows" name="preset">
          {(shared) => (
            <select
              {...shared}
              onChange={({ currentTarget }) => change({ preset: currentTarget.value as DatasetPreset | "" })}
            >
              <option value="" selected={draft.preset === ""}>
                Prompts and completions, conversations or tokens
              </option>
              {presets.map((known) => (
                <option key={known.name} value={known.name} selected={draft.preset === known.name}>
                  {known.name} as published: {known.fields}
                </option>
              ))}
            </select>
          )}
        </Field>
      </div>
      <Splits {...{ draft, change, datasets }} />
    </CheckedForm>
  );
}

/** A key for each part, as long as nothing changes that is stored. */
function useKeys(draft: Draft): (part: string) => string {
  const { text, file, preset, splits, validationShare, testShare, splitSeed } = draft;
  const now = [text, file, preset, rowsNameOf(draft), splits, validationShare, testShare, splitSeed];
  const last = useRef({ of: now, count: 0 });
  if (now.some((value, at) => value !== last.current.of[at])) last.current = { of: now, count: last.current.count + 1 };
  const keyOf = useIdempotencyKey();
  return (part) => `${keyOf(String(last.current.count))}-${part}`;
}

function Rows({ draft, change }: { draft: Draft; change: Change }) {
  const { file, text } = draft;
  const [over, setOver] = useState(false);
  const choose = (chosen: File | null | undefined) => chosen && change({ file: chosen });
  return (
    <div
      class={over ? "drop over" : "drop"}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        choose(event.dataTransfer?.files[0]);
      }}
    >
      <label>
        Drop a file here, or choose one: JSON Lines, CSV or parquet
        <input
          type="file"
          accept=".jsonl,.json,.csv,.tsv,.parquet,application/jsonl,text/csv"
          onChange={({ currentTarget }) => choose(currentTarget.files?.[0])}
        />
      </label>
      {file && (
        <p>
          {file.name}, {formatBytes(file.size)}.{" "}
          <button type="button" onClick={() => change({ file: null })}>
            Remove the file
          </button>
        </p>
      )}
      <label>
        Or paste rows, one a line
        <textarea
          rows={6}
          spellcheck={false}
          placeholder={example}
          disabled={file !== null}
          required={file === null}
          value={text}
          onInput={({ currentTarget }) => change({ text: currentTarget.value })}
        />
      </label>
    </div>
  );
}

/** Rows that are not there yet can be split. */
function formOf(seen: Seen | null, bytes: number): Seen["form"] {
  if (seen === null) return "JSONL";
  return seen.form !== null && bytes <= largestSplit[seen.form] ? seen.form : null;
}
