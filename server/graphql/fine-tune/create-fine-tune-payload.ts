/** What the mutations that create runs answer with. */
import type { FineTune } from "../../../schema/tables.ts";
import { builder } from "../builder.ts";
import { FineTuneRef } from "../nodes.ts";

export const CreateFineTunePayload = builder
  .objectRef<{ fineTune: FineTune; created: boolean }>("CreateFineTunePayload")
  .implement({
    description: "The run that a create answered with.",
    fields: (t) => ({
      fineTune: t.expose("fineTune", { type: FineTuneRef, description: "The run." }),
      created: t.exposeBoolean("created", {
        description: "False when the idempotency key was known and this is the run of the first create.",
      }),
    }),
  });
