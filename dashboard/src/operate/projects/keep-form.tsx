/** How long a project keeps what it creates. Typed in days; the API counts seconds. */
import { change } from "../../api/query.ts";
import { formatCounted } from "../../format.ts";
import { commands } from "../../parts/commands.ts";
import { steplog } from "../../parts/copy-as.tsx";
import { Field } from "../../parts/form/field.tsx";
import { toast } from "../../parts/toast.tsx";
import { FormDialog, numberOf } from "../../parts/form/form-dialog.tsx";
import { setKeep } from "../operations.ts";
import type { ListedProject } from "../projects.ts";
import type { ProjectDeedProps } from "./deed.ts";

type Keep = ListedProject["keep"];
type Kept = "fineTunes" | "checkpoints" | "datasets" | "evaluations" | "completions" | "weights";

const words: Readonly<Record<Kept, { readonly name: string; readonly label: string; readonly empty: string }>> = {
  fineTunes: { name: "runs", label: "Runs, with all that is theirs (days)", empty: "no limit" },
  checkpoints: {
    name: "checkpoints",
    label: "Checkpoints, the best and the last too, once their run has ended (days)",
    empty: "no limit",
  },
  datasets: { name: "datasets", label: "Datasets (days)", empty: "no limit" },
  evaluations: { name: "evaluations", label: "Evaluations that were asked for (days)", empty: "no limit" },
  completions: { name: "answers", label: "Requests to models and answers (days)", empty: "as the operator says" },
  weights: {
    name: "weights",
    label: "Rebuilt weights, since they were last used (days; 0 keeps them)",
    empty: "as the operator says",
  },
};
const kept = Object.keys(words) as Kept[];
const secondsOfDay = 86_400;
const daysOf = (seconds: number) => Math.round((seconds / secondsOfDay) * 1_000) / 1_000;

/** "runs 30 days, weights 7 days" */
export function keepWords(keep: Keep): string {
  const parts = kept.flatMap((name) => {
    const seconds = keep[name];
    if (seconds === null) return [];
    return [`${words[name].name} ${seconds === 0 ? "always" : formatCounted(daysOf(seconds), "day")}`];
  });
  return parts.length === 0 ? "Until somebody deletes it" : parts.join(", ");
}

export function KeepForm({ project, onChanged, onClose }: ProjectDeedProps) {
  const variables = (form: FormData) => ({ project: project.id, keep: keepIn(form) });
  const send = async (form: FormData) => {
    await change(setKeep, variables(form));
    toast("It applies to what is created from now on.");
    onChanged();
  };
  return (
    <FormDialog
      title={`How long “${project.name}” keeps things`}
      action="Set the times"
      onSend={send}
      repeat={(form) => ({
        what: "Set these times",
        operation: setKeep,
        variables: variables(form),
        command: steplog(commands.keepOfProject(project.name, keepIn(form))),
      })}
      onClose={onClose}
    >
      <p>
        For what is created from now on, unless its request says otherwise. When its time is over it is deleted, unless
        something needs it then. What exists already is kept as before.
      </p>
      {kept.map((name) => (
        <Field key={name} label={words[name].label} name={name}>
          {(shared) => (
            <input
              {...shared}
              type="number"
              min={0}
              step="any"
              placeholder={words[name].empty}
              defaultValue={project.keep[name] === null ? "" : String(daysOf(project.keep[name]))}
            />
          )}
        </Field>
      ))}
    </FormDialog>
  );
}

function keepIn(form: FormData): Record<Kept, number | null> {
  const secondsOf = (name: Kept) => {
    const days = numberOf(form, name);
    return days === null ? null : Math.round(days * secondsOfDay);
  };
  return Object.fromEntries(kept.map((name) => [name, secondsOf(name)])) as Record<Kept, number | null>;
}
