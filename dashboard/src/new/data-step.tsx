/** Step 1: the rows to train on, those to validate and test with, and the words to choose between. */
import { useEffect, useState } from "preact/hooks";
import type { Failure } from "../api/failure.ts";
import { useAnswer } from "../api/query.ts";
import { Field } from "../parts/form/field.tsx";
import { Problem } from "../parts/problem.tsx";
import { dataOf, labelWordsOf, type Change, type Draft } from "./draft.ts";
import { choices } from "./operations.ts";
import { OwnRows } from "./own-rows.tsx";
import { noStart, suggestLabels, startOf, type Start } from "./rows.ts";
import { RowsPreview } from "./rows-preview.tsx";
import { OtherRows, StoredRows } from "./stored-rows.tsx";
import { rowsOf } from "./store-rows.ts";

interface DataStepProps {
  readonly draft: Draft;
  readonly change: Change;
  /** What the service says against the rows of the run. */
  readonly problem: Failure | null;
  /** The model whose view of the rows is shown; "" for none. */
  readonly model: string;
  readonly onDone: () => void;
}

export function DataStep({ draft, change, problem, model, onDone }: DataStepProps) {
  const { data, failure } = useAnswer(choices, {});
  const start = useStart(draft);
  const datasets = data?.datasets.nodes ?? [];
  return (
    <div class="step-body">
      {failure && <Problem title="Datasets cannot be listed" failure={failure} />}
      {problem && <Problem title="The run cannot use these rows" failure={problem} />}
      <fieldset class="choices">
        <legend>Where the rows come from</legend>
        {(["own", "stored"] as const).map((source) => (
          <label key={source} class="check">
            <input type="radio" name="source" checked={draft.source === source} onChange={() => change({ source })} />
            {source === "own" ? "My own rows" : "Stored rows"}
          </label>
        ))}
      </fieldset>
      {draft.source === "own" ? (
        <OwnRows {...{ draft, change, start, onDone }} presets={data?.datasetPresets ?? []} datasets={datasets}>
          <LabelWords {...{ draft, change }} start={draft.preset === "" ? start : noStart} />
          <RowsPreview {...{ draft, start, model }} />
        </OwnRows>
      ) : (
        <>
          <StoredRows {...{ draft, change }} />
          <OtherRows {...{ draft, change, datasets }} />
          <LabelWords {...{ draft, change }} start={noStart} />
          <RowsPreview {...{ draft, start, model }} />
        </>
      )}
      {dataOf(draft).training && (
        <div class="actions">
          <button type="button" class="primary" onClick={onDone}>
            Next: the model
          </button>
        </div>
      )}
    </div>
  );
}

/** Of own rows; null while it is read. */
function useStart({ file, text, source }: Draft): Start | null {
  const [start, setStart] = useState<Start | null>(noStart);
  useEffect(() => {
    const state = { over: false };
    const read = async () => {
      const found = await startOf(rowsOf({ file, text }));
      if (!state.over) setStart(found);
    };
    if (source !== "own") return undefined;
    // A file takes a moment, in which what was there before is another one's.
    if (file) setStart(null);
    read().catch(() => setStart(noStart));
    return () => {
      state.over = true;
    };
  }, [file, text, source]);
  return start;
}

function LabelWords({ draft, change, start }: { draft: Draft; change: Change; start: Start | null }) {
  const words = suggestLabels(start?.text ?? "");
  const isNew = words.length > 0 && words.join("\n") !== labelWordsOf(draft).join("\n");
  return (
    <div class="label-words">
      <Field label="Label words, one a line (optional)" name="labelWords">
        {(shared) => (
          <textarea
            {...shared}
            rows={2}
            spellcheck={false}
            placeholder={" great\n terrible"}
            value={draft.labelWords}
            onInput={({ currentTarget }) => change({ labelWords: currentTarget.value })}
          />
        )}
      </Field>
      <p class="muted">
        If the model is to choose between few answers, write them here, with the spaces before them: then the share of
        right answers is measured.
      </p>
      {isNew && (
        <p>
          Your rows have {words.length} different completions: {words.map((word) => JSON.stringify(word)).join(", ")}.{" "}
          <button type="button" onClick={() => change({ labelWords: words.join("\n") })}>
            Use them as label words
          </button>
        </p>
      )}
    </div>
  );
}
