/** How tokens are picked, folded away. What each setting means, and its range, is what the API says of it. */
import { useId } from "preact/hooks";
import { useAnswer } from "../api/query.ts";
import { playSettings } from "./operations.ts";
import { session, settingNames, write, type SettingName } from "./session.ts";

const wholeNumbers: ReadonlySet<SettingName> = new Set(["topK", "maxTokens", "seed"]);

/** @param wrong what the service found wrong with a setting, by its name */
export function Settings({ wrong }: { wrong: ReadonlyMap<string, string> }) {
  const { data } = useAnswer(playSettings, {});
  const { settings } = session.value;
  const changed = settingNames.filter((name) => settings[name] !== "");
  const saidOf = (name: string) => data?.input?.inputFields?.find((field) => field.name === name)?.description ?? "";
  const isWrong = settingNames.some((name) => wrong.has(name));
  return (
    <details open={isWrong || undefined}>
      <summary>
        Sampling settings
        {changed.length > 0 && (
          <span class="muted">
            : {changed.map((name) => `${name} ${settings[name].replaceAll("\n", " ")}`).join(", ")}
          </span>
        )}
      </summary>
      <div class="grid">
        {settingNames.map((name) => (
          <SettingField key={name} name={name} said={saidOf(name)} wrong={wrong.get(name)} />
        ))}
      </div>
    </details>
  );
}

interface FieldProps {
  readonly name: SettingName;
  readonly said: string;
  readonly wrong: string | undefined;
}

function SettingField({ name, said, wrong }: FieldProps) {
  const id = useId();
  const { settings } = session.value;
  const shared = {
    id,
    value: settings[name],
    "aria-describedby": `${id}-said`,
    ...(wrong !== undefined && { "aria-invalid": true }),
    onInput: ({ currentTarget: { value } }: { currentTarget: { value: string } }) =>
      write({ settings: { ...session.value.settings, [name]: value } }),
  };
  return (
    <div class="field">
      <label for={id}>{name}</label>
      {name === "stop" ? (
        <textarea {...shared} rows={2} spellcheck={false} />
      ) : (
        <input {...shared} type="number" step={wholeNumbers.has(name) ? 1 : "any"} />
      )}
      <small id={`${id}-said`}>
        {wrong !== undefined && <strong class="bad">{wrong} </strong>}
        {said}
        {name === "stop" && String.raw` One a line; \n is a line break.`}
      </small>
    </div>
  );
}
