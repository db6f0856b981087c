/** The field of a hyperparameter. Its label, range, placeholder and help come from their table. */
import { useId, useState } from "preact/hooks";
import type { HyperparameterName } from "../../../../schema/hyperparameter-table.ts";
import type { Setting } from "../../../../schema/setting.ts";
import { hyperparameterTable } from "../../../../schema/hyperparameter-table.ts";
import { conditionInWords, rangeInWords } from "../../../../schema/setting.ts";
import { useFieldError } from "./checked-form.tsx";
import { isTyped, labelOf } from "./settings.ts";

interface FieldProps {
  readonly name: HyperparameterName;
  /** What an empty field stands for. */
  readonly defaultTo: unknown;
  /** What was typed or chosen, for a form that keeps it; "" for the default. */
  readonly text?: string;
  readonly onText?: (text: string) => void;
}

export function HyperparameterField({ name, defaultTo, text, onText }: FieldProps) {
  const id = useId();
  const one: Setting = hyperparameterTable[name];
  const { attributes, error } = useFieldError(name, `${id}-help`);
  const [picked, setPicked] = useState<string>();
  const chosen = text ?? picked;
  const current = chosen !== undefined && isTyped(chosen) ? chosen : String(defaultTo);
  const shared = { id, name, ...attributes };
  return (
    <div class={one.type === "switch" ? "field check" : "field"}>
      <label for={id}>{labelOf(one)}</label>
      {one.type === "choice" ? (
        <select
          {...shared}
          onChange={({ currentTarget: { value } }) => {
            setPicked(value);
            onText?.(value);
          }}
        >
          {Object.entries(one.values).map(([value, choice]) => (
            <option key={value} value={value} selected={value === current}>
              {choice.label}
            </option>
          ))}
        </select>
      ) : (
        <input
          {...shared}
          {...inputAttributes(one, defaultTo)}
          {...(text !== undefined && (one.type === "switch" ? { checked: text !== "" } : { value: text }))}
          onInput={({ currentTarget }) => onText?.(textIn(one, currentTarget))}
        />
      )}
      {error}
      <small id={`${id}-help`}>
        {one.type === "choice" && <strong>{meaningOf(one, current)} </strong>}
        {[one.meaning.replaceAll("`", ""), conditionInWords(one), takenInWords(one, defaultTo)].join(" ")}
      </small>
    </div>
  );
}

/** "A whole number from 1 to 1024. Left empty: 16."; "" for what shows its values itself. */
function takenInWords(one: Setting, defaultTo: unknown): string {
  if (one.type === "choice" || one.type === "switch") return "";
  const range = rangeInWords(one);
  const empty = one.type === "names" ? one.whenEmpty : String(defaultTo);
  return `${range.charAt(0).toUpperCase()}${range.slice(1)}. Left empty: ${empty}.`;
}

/** "AdamW: what it does." */
function meaningOf({ values }: Extract<Setting, { type: "choice" }>, value: string): string {
  const choice = values[value];
  return choice ? `${choice.label}: ${choice.meaning.replaceAll("`", "")}` : "";
}

function textIn({ type }: Setting, input: HTMLInputElement): string {
  if (type === "switch") return input.checked ? "on" : "";
  return input.value;
}

function inputAttributes(one: Exclude<Setting, { type: "choice" }>, defaultTo: unknown) {
  if (one.type === "switch") return { type: "checkbox", defaultChecked: defaultTo === true } as const;
  if (one.type === "names") return { type: "text", placeholder: one.whenEmpty, spellcheck: false } as const;
  const placeholder = String(defaultTo);
  // A text, since it may be AUTO; the server checks its range.
  if (one.auto)
    return { type: "text", pattern: String.raw`\s*(AUTO|[0-9.eE+\-]+)\s*`, placeholder, spellcheck: false } as const;
  const step = one.type === "integer" ? 1 : "any";
  return { type: "number", step, min: one.min ?? one.above, max: one.max, placeholder } as const;
}
