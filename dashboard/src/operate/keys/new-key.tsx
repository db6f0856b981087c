/** Makes a key: what it is for, what it allows, when it ends. */
import { useState } from "preact/hooks";
import type { CreateApiKeyInput, Scope } from "../../../../client/schema-types.ts";
import { client } from "../../api/client.ts";
import { commands } from "../../parts/commands.ts";
import { steplog } from "../../parts/copy-as.tsx";
import { Field } from "../../parts/form/field.tsx";
import { FormDialog, numberOf, textOf } from "../../parts/form/form-dialog.tsx";
import { makeKey } from "../operations.ts";
import { useProjects } from "../projects.ts";
import { scopeWords, type Who } from "../who.ts";
import type { MadeKey } from "./types.ts";

interface NewKeyProps {
  readonly who: Who;
  /** Another project, for an operator. */
  readonly project: string | null;
  readonly onMade: (key: MadeKey) => void;
  readonly onClose: () => void;
}

const scopes = Object.keys(scopeWords) as Scope[];
const usual: ReadonlySet<Scope> = new Set(["READ", "TRAIN"]);

export function NewKeyForm({ who, project, onMade, onClose }: NewKeyProps) {
  const [ends, setEnds] = useState("90");
  const { projects } = useProjects();
  const projectName = project === null ? who.project.name : projects?.find(({ id }) => id === project)?.name;
  // Without an admin, nobody could make the second key from here.
  const fixed = (scope: Scope) => who.open && scope === "ADMIN";
  const read = (form: FormData): CreateApiKeyInput => {
    const days = ends === "other" ? numberOf(form, "expiresInDays") : ends === "" ? null : Number(ends);
    return {
      name: textOf(form, "name"),
      scopes: scopes.filter((scope) => fixed(scope) || form.getAll("scopes").includes(scope)),
      ...(days !== null && { expiresInDays: days }),
      ...(project !== null && { project }),
    };
  };
  return (
    <FormDialog
      title={who.open ? "The first key" : "New key"}
      action={who.open ? "Make the first key" : "Make the key"}
      // Not by urql: once the first key is there, nothing may be read again before this page has it.
      onSend={async (form) => onMade((await client.query(makeKey, { input: read(form) })).createApiKey)}
      repeat={(form) => ({
        what: "Make this key",
        operation: makeKey,
        variables: { input: read(form) },
        ...(projectName !== undefined && { command: steplog(commands.createKey(read(form), projectName)) }),
      })}
      onClose={onClose}
    >
      {who.open && (
        <p>
          From now on every request needs a key. This page signs in with the new one. It needs ADMIN, so that you can
          make others with it.
        </p>
      )}
      <Field label="Name: what it is for, or who has it" name="name">
        {(shared) => <input {...shared} required maxLength={200} placeholder="nightly runs" />}
      </Field>
      <Field label="What it allows" name="scopes">
        {({ id, name, ...attributes }) => (
          <div id={id} role="group" aria-label="What it allows" class="choices" {...attributes}>
            {scopes.map((scope) => (
              <label key={scope} class="check">
                <input
                  type="checkbox"
                  name={name}
                  value={scope}
                  defaultChecked={who.open || usual.has(scope)}
                  disabled={fixed(scope)}
                />
                <span>
                  {scope}
                  <small>{scopeWords[scope]}</small>
                </span>
              </label>
            ))}
          </div>
        )}
      </Field>
      <Field label="It ends" name="ends">
        {(shared) => (
          <select {...shared} value={ends} onChange={({ currentTarget: { value } }) => setEnds(value)}>
            <option value="7">after a week</option>
            <option value="30">after 30 days</option>
            <option value="90">after 90 days</option>
            <option value="365">after a year</option>
            <option value="other">after another time</option>
            <option value="">never</option>
          </select>
        )}
      </Field>
      {ends === "other" && (
        <Field label="Days until it ends (at most 3,650)" name="expiresInDays">
          {(shared) => <input {...shared} type="number" required min={0} max={3_650} step="any" />}
        </Field>
      )}
    </FormDialog>
  );
}
