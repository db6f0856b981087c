/** Step 3: the settings, what the run would take with them, and the button that creates it. */
import type { ComponentChildren } from "preact";
import { defaultsWith } from "../../../schema/hyperparameter-defaults.ts";
import { hyperparameterGroups } from "../../../schema/hyperparameter-groups.ts";
import type { CreateFineTuneInput } from "../../../client/browser.ts";
import type { Failure } from "../api/failure.ts";
import { CheckedForm } from "../parts/form/checked-form.tsx";
import { Field } from "../parts/form/field.tsx";
import { HyperparameterField } from "../parts/form/hyperparameters.tsx";
import { settingsApplied, settingsIn } from "../parts/form/settings.ts";
import { CopyAs } from "../parts/copy-as.tsx";
import { dataOf, nameOf, type Change, type Draft } from "./draft.ts";
import { Estimate } from "./estimate.tsx";
import { commandOf } from "./file.ts";
import { kindNames, kindWords, presetSettings, type Kind } from "./kinds.ts";
import { MoreFields } from "./more-fields.tsx";
import { createFineTune } from "./operations.ts";
import type { Estimated } from "./use-estimate.ts";

interface SettingsStepProps {
  readonly draft: Draft;
  readonly change: Change;
  readonly problem: Failure | null;
  readonly attempts: number;
  readonly estimated: Estimated;
  /** Null while the rows or the model are missing. */
  readonly input: CreateFineTuneInput | null;
  readonly busy: boolean;
  readonly onCreate: () => void;
}

export function SettingsStep({
  draft,
  change,
  problem,
  attempts,
  estimated,
  input,
  busy,
  onCreate,
}: SettingsStepProps) {
  return (
    <CheckedForm
      title="The run cannot be created like this"
      failure={problem}
      attempts={attempts}
      onSubmit={(event) => {
        event.preventDefault();
        onCreate();
      }}
      actions={
        <>
          {input && (
            <CopyAs
              what="the creation of this run"
              operation={createFineTune}
              variables={{ input }}
              command={commandOf(input)}
            />
          )}
          <button type="submit" class="primary" disabled={busy}>
            {busy ? "Creating…" : "Create run"}
          </button>
        </>
      }
    >
      <div class="grid">
        <Field label="Name of the run" name="name">
          {(shared) => (
            <input
              {...shared}
              maxLength={200}
              value={nameOf(draft)}
              onInput={({ currentTarget }) => change({ name: currentTarget.value })}
            />
          )}
        </Field>
      </div>
      <Kinds {...{ draft, change }} />
      {draft.kind === "OWN" && <AllSettings {...{ draft, change }} />}
      {draft.kind === "OWN" && <MoreFields {...{ draft, change }} />}
      <label class="check">
        <input
          type="checkbox"
          checked={draft.keepWeights}
          onChange={({ currentTarget }) => change({ keepWeights: currentTarget.checked })}
        />
        Store the weights at the end (otherwise they are rebuilt from the log on request)
      </label>
      <Estimate {...estimated} />
    </CheckedForm>
  );
}

function Kinds({ draft, change }: { draft: Draft; change: Change }) {
  const validates = dataOf(draft).validation !== undefined;
  const choose = (kind: Kind) => {
    const isEmpty = Object.values(draft.settings).every((text) => text === "");
    // Settings of one's own begin as what was chosen before.
    const begun =
      kind === "OWN" && draft.kind !== "OWN" && isEmpty ? presetSettings(draft.kind, validates) : draft.settings;
    change({ kind, settings: begun });
  };
  return (
    <fieldset class="choices kinds">
      <legend>How to train</legend>
      {(["QUICK", "CAREFUL", "OWN"] as const).map((kind) => (
        <label key={kind} class={draft.kind === kind ? "kind chosen" : "kind"}>
          <input type="radio" name="kind" checked={draft.kind === kind} onChange={() => choose(kind)} />
          <strong>{kindNames[kind]}</strong>
          <span class="muted">{kindWords[kind]}</span>
        </label>
      ))}
      {draft.kind === "CAREFUL" && !validates && (
        <p class="muted">There are no validation rows: only the loss of the training rows will be seen.</p>
      )}
    </fieldset>
  );
}

function AllSettings({ draft: { settings, from }, change }: { draft: Draft; change: Change }): ComponentChildren {
  const defaults = defaultsWith(settingsIn(settings));
  const applied = new Set(settingsApplied(settings));
  return (
    <>
      {from && (
        <p class="notice">
          What was fixed by the log that it continues, such as the method and the noise, cannot be changed. Leave it
          empty.
        </p>
      )}
      {hyperparameterGroups.map(({ title, names }) => (
        <fieldset key={title} class="group">
          <legend>{title}</legend>
          <div class="grid">
            {names
              .filter((name) => applied.has(name))
              .map((name) => (
                <HyperparameterField
                  key={name}
                  name={name}
                  defaultTo={defaults[name]}
                  text={settings[name] ?? ""}
                  onText={(text) => change({ settings: { ...settings, [name]: text } })}
                />
              ))}
          </div>
        </fieldset>
      ))}
    </>
  );
}
