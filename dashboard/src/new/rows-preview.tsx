/** Rows as the model sees them, with the tokens that are scored, how many there are, and what is wrong or odd about them. */
import { useEffect, useState } from "preact/hooks";
import type { PreviewRowsInput } from "../../../client/schema-types.ts";
import { hyperparameterTable } from "../../../schema/hyperparameter-table.ts";
import { asFailure, type Failure } from "../api/failure.ts";
import { ask, useAttempts } from "../api/query.ts";
import { formatBytes, formatCounted } from "../format.ts";
import { Problem } from "../parts/problem.tsx";
import { Tokens, TokensHelp } from "../parts/tokens.tsx";
import { settingsIn } from "../parts/form/settings.ts";
import { dataOf, labelWordsOf, settingTexts, type Draft } from "./draft.ts";
import { previewRows, type PreviewRowsQuery } from "./operations.ts";
import { startBytes, type Start } from "./rows.ts";
import { rowsOf } from "./store-rows.ts";

type Preview = PreviewRowsQuery["previewRows"];
type Outcome = { readonly seen: Preview } | { readonly failure: Failure };

const typingMs = 500;

interface PreviewProps {
  readonly draft: Draft;
  /** Of own rows; null while it is read. */
  readonly start: Start | null;
  readonly model: string;
}

export function RowsPreview({ draft, start, model }: PreviewProps) {
  const input = previewOf(draft, start, model);
  const outcome = usePreview(input);
  if (input === null) return <Missing {...{ draft, start, model }} />;
  return (
    <section aria-label="Preview" class="preview">
      <h3>As {model} sees the rows</h3>
      {outcome === null && <p class="muted">Reading…</p>}
      {outcome && "failure" in outcome && (
        <Problem title="The rows cannot be shown" failure={outcome.failure} text={input.jsonl ?? undefined} />
      )}
      {outcome && "seen" in outcome && <Seen {...outcome.seen} />}
      {input.jsonl != null && start?.isParquet && (
        <p class="muted">Only its first rows are looked at here. All rows are checked when they are stored.</p>
      )}
      {input.jsonl != null && !start?.isParquet && rowsOf(draft).size > startBytes && (
        <p class="muted">
          Only the first {startBytes / 1024} KiB are looked at here, of {formatBytes(rowsOf(draft).size)}. All rows are
          checked when they are stored.
        </p>
      )}
    </section>
  );
}

function Missing({ draft, start, model }: PreviewProps) {
  if (model === "") return <p class="muted">Rows are shown as the model sees them once there is a base model.</p>;
  const unread = draft.source === "own" && start?.isParquet;
  return unread ? <p class="muted">The rows of this file are shown once they are stored.</p> : null;
}

/** Own rows until they are stored, then those; null while there is nothing to look at. */
function previewOf(draft: Draft, start: Start | null, model: string): PreviewRowsInput | null {
  const stored = dataOf(draft).training;
  const own = draft.source === "own" && !stored;
  if (model === "" || (own ? (start?.text ?? "").trim() === "" : !stored)) return null;
  const { method, prefixLength, truncate } = settingsIn(settingTexts(draft));
  return {
    baseModel: model,
    ...(own ? { jsonl: start?.text ?? "" } : { dataset: stored?.id ?? null }),
    ...(own && draft.preset !== "" && { prepare: { preset: draft.preset } }),
    labelWords: labelWordsOf(draft),
    ...(truncate && { truncate }),
    prefixLength: method === "PREFIX" ? (prefixLength ?? hyperparameterTable.prefixLength.default) : 0,
    rows: 3,
  };
}

/** Asked again when somebody has stopped typing. What was seen before stays until then. */
function usePreview(input: PreviewRowsInput | null): Outcome | null {
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const attempts = useAttempts(outcome && "failure" in outcome ? outcome.failure : null);
  const content = JSON.stringify(input);
  useEffect(() => {
    const state = { over: false };
    const look = async () => {
      if (input === null) return;
      const next = await ask(previewRows, { input }).then(
        (answer): Outcome => ({ seen: answer.previewRows }),
        (error: unknown): Outcome => ({ failure: asFailure(error) }),
      );
      if (!state.over) setOutcome(next);
    };
    const timer = setTimeout(() => void look(), typingMs);
    return () => {
      state.over = true;
      clearTimeout(timer);
    };
  }, [content, attempts]);
  return outcome;
}

function Seen({ counted, refused, tokens, issues, notes, rows }: Preview) {
  return (
    <>
      <p role="status">
        Of the first {formatCounted(counted, "row")}, {refused === 0 ? "none is" : `${refused} are`} refused.
        {counted > refused &&
          ` ${refused === 0 ? "They" : "The others"} have ${tokens.min} to ${tokens.max} tokens, ${tokens.mean.toFixed(1)} on average; ${formatCounted(tokens.scored, "token")} in all are scored.`}
      </p>
      {(issues.length > 0 || notes.length > 0) && (
        <ul>
          {issues.map(({ line, message }) => (
            <li key={`${line} ${message}`} class="bad">
              {line !== null && <strong>Line {line}: </strong>}
              {message}
            </li>
          ))}
          {notes.map((note) => (
            <li key={note}>{note}</li>
          ))}
        </ul>
      )}
      <TokensHelp />
      <ol>
        {rows.map(({ line, tokens: shown, length }) => (
          <li key={line}>
            <Tokens tokens={shown} length={length} />
          </li>
        ))}
      </ol>
    </>
  );
}
