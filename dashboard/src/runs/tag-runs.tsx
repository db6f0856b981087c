/** Gives tags to runs, and takes tags from them; the others that they have stay. */
import { SteplogError } from "../../../client/browser.ts";
import type { UpdateFineTuneInput } from "../../../client/schema-types.ts";
import { formatCounted } from "../format.ts";
import { commands } from "../parts/commands.ts";
import { steplog } from "../parts/copy-as.tsx";
import { Field } from "../parts/form/field.tsx";
import { FormDialog, textOf } from "../parts/form/form-dialog.tsx";
import { labelFineTune } from "./operations.ts";
import type { ListedRun } from "./use-runs.ts";

interface TagRunsProps {
  readonly runs: readonly ListedRun[];
  readonly onTag: (input: UpdateFineTuneInput) => Promise<unknown>;
  readonly onClose: () => void;
}

export function TagRuns({ runs, onTag, onClose }: TagRunsProps) {
  const counts = new Map<string, number>();
  for (const tag of runs.flatMap(({ tags }) => tags)) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  const save = async (form: FormData) => {
    const tags = tagsIn(form);
    if (tags.add.length === 0 && tags.remove.length === 0) throw nothingSaid();
    await onTag(inputOf(tags));
  };
  return (
    <FormDialog
      title={`Tags of ${formatCounted(runs.length, "run")}`}
      action="Save"
      failed="No tag was changed"
      onSend={save}
      repeat={(form) => ({
        what: "this change of tags",
        operation: labelFineTune,
        variables: runs.map(({ id }) => ({ id, input: inputOf(tagsIn(form)) })),
        command: () => steplog(...runs.map(({ id }) => commands.tag(id, tagsIn(form)))),
      })}
      onClose={onClose}
    >
      <Field label="Add tags, separated by commas" name="add" help="Words to find these runs by.">
        {(shared) => <input {...shared} autocomplete="off" />}
      </Field>
      {counts.size > 0 && (
        <fieldset>
          <legend>Remove tags</legend>
          {[...counts].map(([tag, count]) => (
            <label key={tag} class="check">
              <input type="checkbox" name="remove" value={tag} />
              <span>
                {tag} {count < runs.length && <span class="muted">on {formatCounted(count, "run")}</span>}
              </span>
            </label>
          ))}
        </fieldset>
      )}
    </FormDialog>
  );
}

interface Tags {
  readonly add: readonly string[];
  readonly remove: readonly string[];
}

function tagsIn(form: FormData): Tags {
  const typed = textOf(form, "add").split(",");
  return {
    add: typed.flatMap((tag) => tag.trim() || []),
    remove: form.getAll("remove").filter((tag) => typeof tag === "string"),
  };
}

const inputOf = ({ add, remove }: Tags): UpdateFineTuneInput => ({
  ...(add.length > 0 && { addTags: add }),
  ...(remove.length > 0 && { removeTags: remove }),
});

function nothingSaid(): SteplogError {
  const message = "Name a tag to add, or choose one to remove.";
  return new SteplogError("INVALID_ARGUMENT", message, [{ field: "add", message }]);
}
