/** The form of a new sweep: the settings that vary with their values, and what all of it takes. */
import { useId, useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import type { CreateSweepInput } from "../../../client/schema-types.ts";
import { hyperparameterGroups } from "../../../schema/hyperparameter-groups.ts";
import type { HyperparameterName } from "../../../schema/hyperparameter-table.ts";
import { limits } from "../../../schema/limits.ts";
import { asFailure, type Failure } from "../api/failure.ts";
import { change } from "../api/query.ts";
import { baseUrl, copyPath, runPath, sweepPath } from "../base.ts";
import { formatCounted, formatInteger } from "../format.ts";
import { fileOf } from "../new/file.ts";
import type { RunToCopy } from "../new/run-draft.ts";
import { useIdempotencyKey } from "../new/keys.ts";
import { quoted } from "../parts/commands.ts";
import { CopyAs } from "../parts/copy-as.tsx";
import { CheckedForm, useFieldError } from "../parts/form/checked-form.tsx";
import { Field } from "../parts/form/field.tsx";
import { shortLabel } from "../parts/form/settings.ts";
import { toast } from "../parts/toast.tsx";
import { ListedValues } from "./listed-values.tsx";
import { createSweep } from "./operations.ts";
import { useSweepEstimate, type EstimatedSweep } from "./use-sweep-estimate.ts";
import { issuesOf, runsOf, settingsToVary, sweepInput, type Combination, type SweepDraft } from "./values.ts";

export function SweepForm({ run }: { run: RunToCopy }) {
  const [draft, setDraft] = useState<SweepDraft>(() => draftOf(run));
  const edit = (part: Partial<SweepDraft>) => setDraft((before) => ({ ...before, ...part }));
  const input = sweepInput(run, draft);
  const { busy, attempts, refused, start } = useStart(input);
  const wrong = failureOf(draft, attempts > 0);
  const estimated = useSweepEstimate(wrong === null ? input : null);
  const setText = (name: HyperparameterName, text: string) =>
    edit({ listed: draft.listed.map((one) => (one.name === name ? { name, text } : one)) });
  const count = runsOf(draft);
  return (
    <>
      <p class="headline">
        Same model, rows and settings as <a href={runPath(run.id)}>{run.name}</a>, except for what is listed here.
      </p>
      {run.validationDataset === null && (
        <p class="notice">
          This run has no validation rows, so that only the loss of training rows would tell which settings are best.{" "}
          <a href={copyPath(run.id)}>Copy it with validation rows</a> first for a better answer.
        </p>
      )}
      <section class="card new-sweep">
        <CheckedForm
          title="The sweep cannot start like this"
          failure={wrong ?? refused ?? estimated.failure}
          attempts={attempts}
          onSubmit={(event) => {
            event.preventDefault();
            void start(failureOf(draft, true));
          }}
          actions={
            <>
              {input && (
                <CopyAs
                  what="the creation of this sweep"
                  operation={createSweep}
                  variables={{ input }}
                  command={commandOf(input)}
                />
              )}
              <button type="submit" class="primary" disabled={busy}>
                {busy ? "Starting…" : count > 0 ? `Start ${formatCounted(count, "run")}` : "Start the runs"}
              </button>
            </>
          }
        >
          <Field label="Name of the sweep" name="name">
            {(shared) => (
              <input
                {...shared}
                maxLength={limits.nameLength}
                value={draft.name}
                onInput={({ currentTarget }) => edit({ name: currentTarget.value })}
              />
            )}
          </Field>
          <h2>What varies</h2>
          {draft.listed.map((listed) => (
            <ListedValues
              key={listed.name}
              listed={listed}
              run={run}
              onText={(text) => setText(listed.name, text)}
              onRemove={() => edit({ listed: draft.listed.filter((one) => one !== listed) })}
            />
          ))}
          <More
            names={settingsToVary(run, draft.listed)}
            first={draft.listed.length === 0}
            onName={(name) => edit({ listed: [...draft.listed, { name, text: "" }] })}
          />
          {draft.listed.length > 1 && (
            <Combinations value={draft.combination} onValue={(combination) => edit({ combination })} />
          )}
          <Takes {...estimated} />
        </CheckedForm>
      </section>
    </>
  );
}

/** The learning rate is what most look for first. */
function draftOf(run: RunToCopy): SweepDraft {
  const name = `${run.name.slice(0, limits.nameLength - 10)}, sweep`;
  const listed = settingsToVary(run, []).includes("learningRate") ? [{ name: "learningRate" as const, text: "" }] : [];
  return { name, listed, combination: "grid" };
}

function failureOf(draft: SweepDraft, attempted: boolean): Failure | null {
  const issues = issuesOf(draft, attempted);
  if (issues.length === 0) return null;
  const message = issues.map(({ field, message: text }) => `${field}: ${text}`).join(" ");
  return { code: "INVALID_ARGUMENT", message, issues };
}

/** Creates the sweep and goes to it; what refuses it stays until the input changes. */
function useStart(input: CreateSweepInput | null) {
  const { route } = useLocation();
  const keyOf = useIdempotencyKey();
  const [busy, setBusy] = useState(false);
  const [attempts, setAttempts] = useState(0);
  const [refused, setRefused] = useState<{ readonly content: string; readonly failure: Failure } | null>(null);
  const content = JSON.stringify(input);
  const start = async (wrong: Failure | null) => {
    setAttempts((before) => before + 1);
    if (wrong !== null || input === null) return;
    setBusy(true);
    try {
      const { createSweep: made } = await change(createSweep, { input: { ...input, idempotencyKey: keyOf(content) } });
      toast("The runs of the sweep are queued.");
      route(sweepPath(made.sweep.id));
    } catch (error) {
      setRefused({ content, failure: asFailure(error) });
      setBusy(false);
    }
  };
  return { busy, attempts, refused: refused?.content === content ? refused.failure : null, start };
}

/** The same by the command, which reads a file. */
function commandOf({ name, run, vary }: CreateSweepInput): string {
  const { tags: _tags, metadata: _metadata, priority: _priority, ...known } = run;
  const file = JSON.stringify({ name, run: fileOf(known), vary }, null, 2);
  return `printf %s ${quoted(file)} > sweep.json\nnpx steplog sweeps create sweep.json --url ${baseUrl}`;
}

interface MoreProps {
  readonly names: readonly HyperparameterName[];
  readonly first: boolean;
  readonly onName: (name: HyperparameterName) => void;
}

function More({ names, first, onName }: MoreProps) {
  const left = new Set(names);
  const groups = hyperparameterGroups.map(({ title, names: all }) => ({
    title,
    names: all.filter((one) => left.has(one)),
  }));
  return (
    <Field label={first ? "Vary a setting" : "Vary another setting too"} name="more">
      {(shared) => (
        <select
          {...shared}
          value=""
          onChange={({ currentTarget }) => {
            const name = names.find((one) => one === currentTarget.value);
            currentTarget.value = "";
            if (name) onName(name);
          }}
        >
          <option value="">Choose one…</option>
          {groups.map(
            ({ title, names: some }) =>
              some.length > 0 && (
                <optgroup key={title} label={title}>
                  {some.map((name) => (
                    <option key={name} value={name}>
                      {shortLabel(name)}
                    </option>
                  ))}
                </optgroup>
              ),
          )}
        </select>
      )}
    </Field>
  );
}

const combinationWords: Readonly<Record<Combination, readonly [name: string, meaning: string]>> = {
  grid: ["All combinations", "Every value with every value of the others."],
  pairs: ["In pairs", "The first value with the first of the others, the second with the second, and so on."],
};

function Combinations({ value, onValue }: { value: Combination; onValue: (value: Combination) => void }) {
  const id = useId();
  const { attributes, error } = useFieldError("list");
  return (
    <fieldset name="list" class="choices kinds" {...attributes}>
      <legend>How the values go together</legend>
      {(Object.keys(combinationWords) as Combination[]).map((one) => (
        <label key={one} class={value === one ? "kind chosen" : "kind"}>
          <input type="radio" name={id} checked={value === one} onChange={() => onValue(one)} />
          <strong>{combinationWords[one][0]}</strong>
          <span class="muted">{combinationWords[one][1]}</span>
        </label>
      ))}
      {error}
    </fieldset>
  );
}

function Takes({ estimate, busy, failure }: EstimatedSweep) {
  const { attributes, error } = useFieldError("grid");
  return (
    <fieldset name="grid" class="estimate" aria-busy={busy} {...attributes}>
      <legend class="hidden">What it would take</legend>
      {estimate && !failure ? (
        <>
          <dl class="figures">
            <Figure title="Runs" value={formatInteger(estimate.runs)} />
            <Figure title="Steps of all runs" value={formatInteger(estimate.steps)} />
            <Figure title="Forward passes" value={formatInteger(estimate.passes)} />
          </dl>
          <p class="muted">
            Evaluations come on top. The runs train one after the other on each worker, and each can be paused or
            cancelled like any other.
          </p>
        </>
      ) : (
        <p class="muted" role="status">
          {busy
            ? "Estimating…"
            : "What it would take is told here before anything starts, once no value is missing or wrong."}
        </p>
      )}
      {error}
    </fieldset>
  );
}

function Figure({ title, value }: { title: string; value: string }) {
  return (
    <div>
      <dt>{title}</dt>
      <dd>{value}</dd>
    </div>
  );
}
