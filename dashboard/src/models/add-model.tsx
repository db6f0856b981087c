/** Adding a model from the hub: a worker downloads it. The command does the same where a worker is. */
import { useState } from "preact/hooks";
import { change } from "../api/query.ts";
import { quoted } from "../parts/commands.ts";
import { copy } from "../parts/copy.ts";
import { Field } from "../parts/form/field.tsx";
import { FormDialog, textOf } from "../parts/form/form-dialog.tsx";
import { addBaseModel } from "./operations.ts";

const example = "facebook/opt-125m";

interface AddModelProps {
  readonly mayAdd: boolean;
  readonly onAdded: () => void;
  readonly onClose: () => void;
}

export function AddModel({ mayAdd, onAdded, onClose }: AddModelProps) {
  const [repository, setRepository] = useState("");
  const command = commandOf(repository || example);
  const send = async (form: FormData) => {
    if (!mayAdd) return copy(command);
    await change(addBaseModel, { input: inputOf(form) });
    onAdded();
  };
  return (
    <FormDialog
      title="Add a model"
      action={mayAdd ? "Download it" : "Copy the command"}
      failed="The model is not added"
      onSend={send}
      onClose={onClose}
      {...(mayAdd && {
        repeat: (form: FormData) => ({
          what: "adding this model",
          operation: addBaseModel,
          variables: { input: inputOf(form) },
          command,
        }),
      })}
    >
      <p>
        {mayAdd
          ? "A worker downloads it from the Hugging Face hub, and then runs can start from it. Its machine needs the room for it."
          : "An operator adds models here. Whoever has a shell on the machine of a worker can do it by this command."}
      </p>
      <Field label="Repository on the Hugging Face hub" name="repository">
        {(shared) => (
          <input
            {...shared}
            required={mayAdd}
            placeholder={example}
            spellcheck={false}
            onInput={({ currentTarget }) => setRepository(repositoryOf(currentTarget.value))}
          />
        )}
      </Field>
      {mayAdd && (
        <details>
          <summary>Another revision or name</summary>
          <Field label="Revision: a branch, tag or commit" name="revision">
            {(shared) => <input {...shared} placeholder="main" spellcheck={false} />}
          </Field>
          <Field label="Name here" name="name">
            {(shared) => <input {...shared} placeholder="that of the repository" spellcheck={false} />}
          </Field>
        </details>
      )}
      {!mayAdd && <pre class="command">{command}</pre>}
      <p class="muted">
        Private and gated models need a token of the hub where the workers are: HF_TOKEN, or that of{" "}
        <code>hf auth login</code>.
      </p>
    </FormDialog>
  );
}

/** What is not filled in has its default. */
function inputOf(form: FormData) {
  const [revision, name] = [textOf(form, "revision"), textOf(form, "name")];
  return {
    repository: repositoryOf(textOf(form, "repository")),
    ...(revision !== "" && { revision }),
    ...(name !== "" && { name }),
  };
}

/** Also from the address of its page. */
const repositoryOf = (text: string) =>
  text
    .trim()
    .replace(/^https?:\/\/(?:www\.)?(?:huggingface\.co|hf\.co)\//u, "")
    .replace(/\/+$/u, "");

const commandOf = (repository: string) =>
  `npx steplog model add ${/^[\w./@:-]+$/u.test(repository) ? repository : quoted(repository)}`;
