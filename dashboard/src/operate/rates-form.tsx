/** Sets rate limits of a key or of each key of a project: how much may come in a minute. */
import { useState } from "preact/hooks";
import type { RateLimitedInput } from "../../../client/schema-types.ts";
import { usualRates, type RateName } from "../../../schema/rates.ts";
import { change } from "../api/query.ts";
import { formatInteger } from "../format.ts";
import { Field } from "../parts/form/field.tsx";
import { toast } from "../parts/toast.tsx";
import { FormDialog, numberOf, textOf } from "../parts/form/form-dialog.tsx";
import { setRates } from "./operations.ts";

export const rateWords: Readonly<Record<RateName, string>> = {
  graphql: "GraphQL points a minute (a small query is one)",
  openai: "Requests to /v1 a minute (clients of OpenAI)",
  files: "Uploads and downloads a minute",
};

interface RatesProps {
  readonly of: RateLimitedInput;
  readonly name: string;
  readonly onClose: () => void;
}

const names = Object.keys(rateWords) as RateName[];

export function RatesForm({ of, name, onClose }: RatesProps) {
  const variables = (form: FormData) => ({ of, limits: limitsIn(form) });
  const send = async (form: FormData) => {
    const { setRateLimits: set } = await change(setRates, variables(form));
    const own = set.map((one) => `${one.name} ${one.limit === 0 ? "no limit" : formatInteger(one.limit)}`);
    toast(own.length === 0 ? "It has the usual limits now." : `Own limits a minute now: ${own.join(", ")}.`);
  };
  return (
    <FormDialog
      title={`Rate limits of “${name}”`}
      action="Set the limits"
      onSend={send}
      repeat={(form) => ({ what: "Set these limits", operation: setRates, variables: variables(form) })}
      onClose={onClose}
    >
      <p>
        {of.apiKey == null
          ? "For each key of the project that has no limits of its own."
          : "For this key alone. It then no longer has those of its project."}{" "}
        They apply from the next request. Requests above a limit are refused, and told when to try again.
      </p>
      {names.map((one) => (
        <Rate key={one} name={one} />
      ))}
    </FormDialog>
  );
}

function Rate({ name }: { name: RateName }) {
  const [choice, setChoice] = useState("stays");
  return (
    <div class="pair">
      <Field label={rateWords[name]} name={`${name}Choice`}>
        {(shared) => (
          <select {...shared} value={choice} onChange={({ currentTarget: { value } }) => setChoice(value)}>
            <option value="stays">as it is</option>
            <option value="usual">the service's (usually {formatInteger(usualRates[name])})</option>
            <option value="none">no limit</option>
            <option value="number">a number</option>
          </select>
        )}
      </Field>
      {choice === "number" && (
        <Field label="How many" name={name}>
          {(shared) => <input {...shared} type="number" required min={1} max={1e9} step={1} />}
        </Field>
      )}
    </div>
  );
}

function limitsIn(form: FormData): Partial<Record<RateName, number | null>> {
  const valueOf = (name: RateName) =>
    ({ usual: [null], none: [0], number: [numberOf(form, name)] })[textOf(form, `${name}Choice`)] ?? [];
  return Object.fromEntries(names.flatMap((name) => valueOf(name).map((value) => [name, value])));
}
