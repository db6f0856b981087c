/** The answer of the mutations that create runs. */
import type { FineTune } from "../../../schema/tables.ts";
import { builder } from "../builder.ts";
import { FineTuneRef } from "../nodes.ts";

export const CreateFineTunePayload = builder
  .objectRef<{ fineTune: FineTune; created: boolean }>("CreateFineTunePayload")
  .implement({
    description: "A run that was created, now or by an earlier request with the same idempotency key.",
    fields: (t) => ({
      fineTune: t.expose("fineTune", { type: FineTuneRef, description: "The run." }),
      created: t.exposeBoolean("created", {
        description: "False if an earlier request with the same idempotency key created the run.",
      }),
    }),
  });
