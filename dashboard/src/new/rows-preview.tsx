/** What a run would make of its first training rows: counts, cut prompts, reasons for refusals, and what is odd about them. */
import { useState } from "preact/hooks";
import type { CreateFineTuneInput } from "../../../client/browser.ts";
import { hyperparameterTable } from "../../../schema/hyperparameter-table.ts";
import { client } from "../api/client.ts";
import { previewRows, type PreviewRowsQuery } from "./operations.ts";
import { formatCounted } from "../format.ts";
import { asFailure, type Failure } from "../api/failure.ts";
import { Problem } from "../parts/problem.tsx";

type Outcome = { readonly seen: PreviewRowsQuery["previewRows"] } | { readonly failure: Failure };

/** @param read the form's values when the button is pressed; null while no dataset is chosen */
export function RowsPreview({ read }: { read: () => CreateFineTuneInput | null }) {
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const [busy, setBusy] = useState(false);
  const look = async () => {
    const input = read();
    if (!input) return;
    setBusy(true);
    try {
      setOutcome({ seen: (await client.query(previewRows, { input: previewOf(input) })).previewRows });
    } catch (error) {
      setOutcome({ failure: asFailure(error) });
    }
    setBusy(false);
  };
  return (
    <>
      <button type="button" disabled={busy} onClick={() => void look()}>
        {busy ? "Reading…" : "Look at the training rows"}
      </button>
      <div role="status">
        {outcome && "failure" in outcome && <Problem title="The rows cannot be shown" failure={outcome.failure} />}
        {outcome && "seen" in outcome && <Seen {...outcome.seen} />}
      </div>
    </>
  );
}

function previewOf({ baseModel, dataset, labelWords, hyperparameters }: CreateFineTuneInput) {
  const { method, prefixLength, truncate } = hyperparameters ?? {};
  const prefix = method === "PREFIX" ? (prefixLength ?? hyperparameterTable.prefixLength.default) : 0;
  return {
    ...(baseModel != null && { baseModel }),
    ...(dataset != null && { dataset }),
    ...(labelWords && { labelWords }),
    ...(truncate && { truncate }),
    prefixLength: prefix,
    rows: 1,
  };
}

function Seen({ counted, refused, tokens, issues, notes }: PreviewRowsQuery["previewRows"]) {
  return (
    <>
      <p>
        Of the first {formatCounted(counted, "row")}, {refused === 0 ? "none is" : `${refused} are`} refused.
        {counted > refused &&
          ` The others have ${tokens.min} to ${tokens.max} tokens, ${tokens.mean.toFixed(1)} on average.`}
      </p>
      {(issues.length > 0 || notes.length > 0) && (
        <ul>
          {issues.map(({ line, message }) => (
            <li key={`${line} ${message}`}>
              {line !== null && <strong>Line {line}: </strong>}
              {message}
            </li>
          ))}
          {notes.map((note) => (
            <li key={note}>{note}</li>
          ))}
        </ul>
      )}
    </>
  );
}
