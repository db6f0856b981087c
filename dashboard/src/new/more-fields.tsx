/** What a run has beside its rows, its model and its settings: words to find it by, its place in the queue, how labels are scored. */
import { limits } from "../../../schema/limits.ts";
import { Field } from "../parts/form/field.tsx";
import type { Change, Draft } from "./draft.ts";

type More = Draft["more"];

export function MoreFields({ draft: { more }, change }: { draft: Draft; change: Change }) {
  // What is left empty is not sent.
  const put = <Name extends keyof More>(name: Name, value: More[Name] | undefined) => {
    const { [name]: _before, ...rest } = more;
    change({ more: value === undefined ? rest : { ...rest, [name]: value } });
  };
  return (
    <fieldset class="group">
      <legend>The run itself</legend>
      <div class="grid">
        <Field label="Tags" name="tags" help="Words to find it by, with commas between them.">
          {(shared) => (
            <input
              {...shared}
              value={(more.tags ?? []).join(", ")}
              onChange={({ currentTarget }) => put("tags", tagsIn(currentTarget.value))}
            />
          )}
        </Field>
        <Field
          label="Priority"
          name="priority"
          help={`Workers take runs of a higher one first, of those of your project: -${limits.priority} to ${limits.priority}. Usually 0.`}
        >
          {(shared) => (
            <input
              {...shared}
              type="number"
              step={1}
              min={-limits.priority}
              max={limits.priority}
              placeholder="0"
              value={more.priority ?? ""}
              onChange={({ currentTarget: { valueAsNumber: given } }) =>
                put("priority", Number.isNaN(given) ? undefined : given)
              }
            />
          )}
        </Field>
        <Field
          label="Calibration prompt"
          name="calibrationPrompt"
          help="With label words: a text without content, such as “It was”. A label's score is then how much likelier a row's prompt makes it than this one does."
        >
          {(shared) => (
            <input
              {...shared}
              spellcheck={false}
              value={more.calibrationPrompt ?? ""}
              onInput={({ currentTarget: { value } }) => put("calibrationPrompt", value === "" ? undefined : value)}
            />
          )}
        </Field>
      </div>
    </fieldset>
  );
}

function tagsIn(text: string): string[] | undefined {
  const tags = text
    .split(",")
    .map((tag) => tag.trim())
    .filter((tag) => tag !== "");
  return tags.length === 0 ? undefined : [...new Set(tags)];
}
