/** The projects: who shares what, how much each may use, and how long it keeps things. */
import { useState } from "preact/hooks";
import { change } from "../../api/query.ts";
import { at } from "../../base.ts";
import { DataTable, type Column } from "../../parts/data-table.tsx";
import { commands } from "../../parts/commands.ts";
import { steplog } from "../../parts/copy-as.tsx";
import { Field } from "../../parts/form/field.tsx";
import { Problem } from "../../parts/problem.tsx";
import { toast } from "../../parts/toast.tsx";
import { FormDialog, textOf } from "../../parts/form/form-dialog.tsx";
import { OperateFrame } from "../frame.tsx";
import { makeProject } from "../operations.ts";
import { useProjects, type ListedProject } from "../projects.ts";
import type { Who } from "../who.ts";
import { When } from "../when.tsx";
import { keepWords } from "./keep-form.tsx";
import { ProjectMenu } from "./project-menu.tsx";

export function ProjectsPage() {
  const [making, setMaking] = useState(false);
  return (
    <OperateFrame
      title="Projects"
      needs="ADMIN"
      action={({ operator }) =>
        operator && (
          <button type="button" class="primary" onClick={() => setMaking(true)}>
            New project
          </button>
        )
      }
    >
      {(who) => <Projects who={who} making={making} onMade={() => setMaking(false)} />}
    </OperateFrame>
  );
}

function Projects({ who, making, onMade }: { who: Who; making: boolean; onMade: () => void }) {
  const { projects, failure, reload } = useProjects();
  return (
    <>
      <p class="muted">
        Keys of other projects cannot see what a project has, unless it is shared with them. All projects use the same
        base models, and workers take turns between projects.
        {!who.operator && " Only an operator, with ADMIN in the default project, makes projects and sets their limits."}
      </p>
      {failure && <Problem title="The projects could not be read" failure={failure} />}
      {projects === null && failure === null && <p class="muted">Loading…</p>}
      {projects && (
        <section class="card">
          <DataTable
            name="Projects"
            columns={columnsFor(who, reload)}
            rows={projects}
            keyOf={({ id }) => id}
            empty="There are no projects."
          />
        </section>
      )}
      {making && <NewProject onMade={reload} onClose={onMade} />}
    </>
  );
}

function columnsFor(who: Who, onChanged: () => void): readonly Column<ListedProject>[] {
  return [
    {
      title: "Name",
      cell: ({ id, name }) => (
        <>
          {name}
          {id === who.project.id && <span class="tag">yours</span>}
        </>
      ),
      sortBy: ({ name }) => name,
    },
    { title: "Created", cell: ({ createdAt }) => <When at={createdAt} none="" />, sortBy: (one) => one.createdAt },
    { title: "Keeps what it creates", cell: ({ keep }) => keepWords(keep) },
    {
      title: "See",
      cell: ({ id, name }) => {
        const search = id === who.project.id ? "" : `?project=${encodeURIComponent(id)}`;
        return (
          <span class="links">
            <a href={at(`/operate/keys${search}`)} aria-label={`Keys of ${name}`}>
              Keys
            </a>
            <a href={at(`/operate/usage${search}`)} aria-label={`Usage of ${name}`}>
              Usage
            </a>
            <a href={at(`/operate/audit?project=${encodeURIComponent(id)}`)} aria-label={`Audit log of ${name}`}>
              Audit log
            </a>
          </span>
        );
      },
    },
    { title: "Actions", cell: (project) => <ProjectMenu project={project} who={who} onChanged={onChanged} /> },
  ];
}

function NewProject({ onMade, onClose }: { onMade: () => void; onClose: () => void }) {
  const send = async (form: FormData) => {
    await change(makeProject, { name: textOf(form, "name") });
    toast("Created.");
    onMade();
  };
  return (
    <FormDialog
      title="New project"
      action="Create the project"
      onSend={send}
      repeat={(form) => ({
        what: "Create this project",
        operation: makeProject,
        variables: { name: textOf(form, "name") },
        command: steplog(commands.createProject(textOf(form, "name"))),
      })}
      onClose={onClose}
    >
      <p>It has runs, datasets and keys of its own. Make a key for it next: choose it on the page Keys.</p>
      <Field label="Name" name="name">
        {(shared) => <input {...shared} required maxLength={200} />}
      </Field>
    </FormDialog>
  );
}
