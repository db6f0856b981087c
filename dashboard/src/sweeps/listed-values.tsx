/** The values of one setting that varies. Choices are ticked, everything else is typed. */
import { useId } from "preact/hooks";
import { hyperparameterTable, type HyperparameterName } from "../../../schema/hyperparameter-table.ts";
import type { Setting } from "../../../schema/setting.ts";
import type { RunToCopy } from "../new/run-draft.ts";
import { useFieldError } from "../parts/form/checked-form.tsx";
import { settingInWords, shortLabel } from "../parts/form/settings.ts";
import { suggestionFor, textsIn, type Listed } from "./values.ts";

interface ListedValuesProps {
  readonly listed: Listed;
  readonly run: RunToCopy;
  readonly onText: (text: string) => void;
  readonly onRemove: () => void;
}

export function ListedValues({ listed, run, onText, onRemove }: ListedValuesProps) {
  const { name } = listed;
  const one: Setting = hyperparameterTable[name];
  const suggestion = suggestionFor(name, run);
  const own = settingInWords(name, run.hyperparameters[name]);
  const picked =
    name === "learningRate" && run.pickedRate !== null ? `, which chose ${settingInWords(name, run.pickedRate)}` : "";
  return (
    <div class="listed-values">
      {one.type === "choice" || one.type === "switch" ? (
        <Ticked {...{ listed, one, onText }} />
      ) : (
        <Typed {...{ listed, one, onText, example: suggestion ?? own }} />
      )}
      <div class="beside">
        <small class="muted">
          {shortLabel(name)} of this run: {own}
          {picked}
        </small>
        {suggestion !== null && listed.text === "" && (
          <button type="button" class="quiet" onClick={() => onText(suggestion)}>
            Take {suggestion}
          </button>
        )}
        <button type="button" class="quiet" onClick={onRemove}>
          Remove<span class="hidden"> {shortLabel(name)}</span>
        </button>
      </div>
    </div>
  );
}

interface ValuesProps {
  readonly listed: Listed;
  readonly one: Setting;
  readonly onText: (text: string) => void;
}

function Typed({ listed: { name, text }, one, onText, example }: ValuesProps & { readonly example: string }) {
  const id = useId();
  const { attributes, error } = useFieldError(name, `${id}-help`);
  const shared = { id, name, value: text, spellcheck: false, ...attributes };
  return (
    <div class="field">
      <label for={id}>{shortLabel(name)}</label>
      {one.type === "names" ? (
        <textarea {...shared} rows={3} onInput={({ currentTarget }) => onText(currentTarget.value)} />
      ) : (
        <input
          {...shared}
          type="text"
          autocomplete="off"
          placeholder={`such as ${example}`}
          onInput={({ currentTarget }) => onText(currentTarget.value)}
        />
      )}
      {error}
      <small id={`${id}-help`}>
        {one.type === "names" ? "One list of names a line. " : "Values with commas between them. "}
        {one.meaning.replaceAll("`", "")}
      </small>
    </div>
  );
}

function Ticked({ listed, one, onText }: ValuesProps) {
  const { name } = listed;
  const id = useId();
  const { attributes, error } = useFieldError(name, `${id}-help`);
  const chosen = new Set(textsIn(listed));
  const options = one.type === "choice" ? Object.keys(one.values) : ["true", "false"];
  const tick = (option: string, checked: boolean) =>
    onText(options.filter((each) => (each === option ? checked : chosen.has(each))).join(", "));
  return (
    <fieldset name={name} class="field" {...attributes}>
      <legend>{shortLabel(name)}</legend>
      <div class="ticks-of">
        {options.map((option) => (
          <label key={option} class="check">
            <input
              type="checkbox"
              checked={chosen.has(option)}
              onChange={({ currentTarget }) => tick(option, currentTarget.checked)}
            />
            {settingInWords(name, valueOf(one, option))}
          </label>
        ))}
      </div>
      {error}
      <small id={`${id}-help`}>{one.meaning.replaceAll("`", "")}</small>
    </fieldset>
  );
}

const valueOf = ({ type }: Setting, option: string) =>
  (type === "switch" ? option === "true" : option) as RunToCopy["hyperparameters"][HyperparameterName];
