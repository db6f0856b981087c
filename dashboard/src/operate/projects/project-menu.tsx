/** What can be done with a project: an operator does all of it, an admin says how long the own one keeps things. */
import { useState } from "preact/hooks";
import { defaultProjectId } from "../../../../schema/projects.ts";
import { globalIdOf } from "../../../../schema/webhooks.ts";
import { change } from "../../api/query.ts";
import { formatCounted } from "../../format.ts";
import { commands } from "../../parts/commands.ts";
import { steplog } from "../../parts/copy-as.tsx";
import { Field } from "../../parts/form/field.tsx";
import { MenuButton, type Action } from "../../parts/menu.tsx";
import { toast } from "../../parts/toast.tsx";
import { FormDialog, textOf } from "../../parts/form/form-dialog.tsx";
import { eraseProject, renameProject } from "../operations.ts";
import type { ListedProject } from "../projects.ts";
import { RatesForm } from "../rates-form.tsx";
import type { Who } from "../who.ts";
import type { ProjectDeedProps } from "./deed.ts";
import { KeepForm } from "./keep-form.tsx";
import { QuotasForm } from "./quotas-form.tsx";

interface ProjectMenuProps {
  readonly project: ListedProject;
  readonly who: Who;
  readonly onChanged: () => void;
}

type Deed = "rename" | "quotas" | "rates" | "keep" | "erase";

export function ProjectMenu({ project, who, onChanged }: ProjectMenuProps) {
  const [deed, setDeed] = useState<Deed | null>(null);
  const ask = (name: string, one: Deed, danger = false): Action => ({ name, danger, run: () => setDeed(one) });
  const isDefault = project.id === globalIdOf("Project", defaultProjectId);
  const actions = who.operator
    ? [
        ask("Rename…", "rename"),
        ask("Quotas…", "quotas"),
        ask("Rate limits…", "rates"),
        ask("How long it keeps things…", "keep"),
        ...(isDefault ? [] : [ask("Erase…", "erase", true)]),
      ]
    : [ask("How long it keeps things…", "keep")];
  const props = { project, onChanged, onClose: () => setDeed(null) };
  return (
    <>
      <MenuButton label="⋯" name={`Actions of the project ${project.name}`} actions={actions} />
      {deed === "rename" && <Rename {...props} />}
      {deed === "quotas" && <QuotasForm {...props} />}
      {deed === "rates" && <RatesForm of={{ project: project.id }} name={project.name} onClose={props.onClose} />}
      {deed === "keep" && <KeepForm {...props} />}
      {deed === "erase" && <Erase {...props} />}
    </>
  );
}

function Rename({ project, onChanged, onClose }: ProjectDeedProps) {
  const variables = (form: FormData) => ({ id: project.id, name: textOf(form, "name") });
  const send = async (form: FormData) => {
    await change(renameProject, variables(form));
    toast("Renamed.");
    onChanged();
  };
  return (
    <FormDialog
      title={`Rename “${project.name}”`}
      action="Rename"
      onSend={send}
      repeat={(form) => ({
        what: "Rename this project",
        operation: renameProject,
        variables: variables(form),
        command: steplog(commands.renameProject(project.name, textOf(form, "name"))),
      })}
      onClose={onClose}
    >
      <p>Its keys go on as they are. Commands that name the project need its new name.</p>
      <Field label="Name" name="name">
        {(shared) => <input {...shared} required maxLength={200} defaultValue={project.name} />}
      </Field>
    </FormDialog>
  );
}

function Erase({ project, onChanged, onClose }: ProjectDeedProps) {
  const send = async (form: FormData) => {
    const { eraseProject: gone } = await change(eraseProject, { id: project.id, name: textOf(form, "name") });
    const what = [formatCounted(gone.fineTunes, "run"), formatCounted(gone.datasets, "dataset")];
    toast(`Erased “${gone.name}” with ${what.join(" and ")}.`);
    onChanged();
  };
  return (
    <FormDialog
      title={`Erase “${project.name}”?`}
      action="Erase it for good"
      danger
      onSend={send}
      repeat={(form) => ({
        what: "the end of this project",
        operation: eraseProject,
        variables: { id: project.id, name: textOf(form, "name") },
        command: steplog(commands.eraseProject(project.name, textOf(form, "name"))),
      })}
      onClose={onClose}
    >
      <p>
        <strong>Everything that it has is lost:</strong> runs with their logs and checkpoints, datasets, evaluations,
        requests and answers, names, webhooks. Runs that train are cancelled; its keys end at once; what it shared is
        shared no longer. Only that it was erased stays, in the audit log. To keep a copy, export it first:{" "}
        <code>npx steplog projects export</code>.
      </p>
      <Field label={`Type its name, ${project.name}, to confirm`} name="name">
        {(shared) => <input {...shared} required autocomplete="off" />}
      </Field>
    </FormDialog>
  );
}
