/** Erasing a project. */
import type { Erasure } from "../../../store/store.ts";
import { builder, queryCost } from "../builder.ts";
import { ProjectRef } from "../nodes.ts";

const ErasureRef = builder.objectRef<Erasure>("ProjectErasure").implement({
  description: "What was erased with a project.",
  fields: (t) => ({
    name: t.string({ description: "The name that the project had.", resolve: ({ project }) => project.name }),
    fineTunes: t.exposeInt("runs", { description: "Runs, with their logs and checkpoints." }),
    datasets: t.exposeInt("datasets", { description: "Datasets." }),
    evaluations: t.exposeInt("evaluations", { description: "Evaluations that were asked for." }),
    completions: t.exposeInt("completions", { description: "Requests to models." }),
    files: t.exposeInt("files", { description: "Stored files that are deleted: those that nothing else names." }),
    filesWaiting: t.exposeInt("filesWaiting", {
      description:
        "Stored files that the sweep deletes a day after they were last stored, if nothing else names them then: somebody may just " +
        "be storing the same bytes.",
    }),
  }),
});

builder.mutationField("eraseProject", (t) =>
  t.field({
    type: ErasureRef,
    description:
      "Erases a project with everything that it has. Runs that are trained are cancelled, its keys end with whatever is open under " +
      "them, and what it shared is shared no longer. Only that it was erased stays, in the audit log. Refused as CONFLICT while " +
      "runs, evaluations or requests of other projects need what it shared; those that have ended go with its checkpoints, but " +
      "for runs. Only an operator may: scope ADMIN in the default project. If the " +
      "answer is lost, repeat it: it goes on where it was, and is NOT_FOUND once the project is erased.",
    complexity: queryCost,
    args: {
      id: t.arg.globalID({ for: ProjectRef, required: true, description: "The project." }),
      name: t.arg.string({ required: true, description: "Its name, to confirm." }),
    },
    resolve: (_root, { id, name }, { store }) => store.administration.eraseProject(id.id, name),
  }),
);
