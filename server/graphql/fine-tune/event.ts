/** Events: the history of a run, in words. */
import { z } from "zod";
import type { Event } from "../../../schema/tables.ts";
import { builder } from "../builder.ts";
import { requireFineTune } from "../lookup.ts";
import { onlyRow } from "../../shared-results.ts";
import { FineTuneRef } from "../nodes.ts";

export const EventRef = builder.objectRef<Event>("Event").implement({
  description: "A change of status, or another notable event, of a run.",
  fields: (t) => ({
    sequence: t.exposeInt("sequence", {
      description: "Number of the event within its run, counted from 1 without gaps.",
    }),
    type: t.exposeString("type", {
      description:
        "Type of event: QUEUED, RUNNING, SUCCEEDED, ... STORAGE_AWAY says that weights wait for the storage, " +
        "HARDLY_MOVED comes at the end of a run that seems to have learned nothing, " +
        "DIVERGED when one diverges and goes on (whenDiverged), WENT_BACK when another takes its remaining steps, OVERFITTED at the end of one that was clearly better on its " +
        "validation rows before, STOPPED_EARLY (patience) and TIME_LIMIT (maxSeconds) when one succeeds before its last step, " +
        "NO_END_OF_TURN at the start of one whose conversations do not teach it to stop, and when it is " +
        "created: ROWS_CUT, ROWS_REPEATED, ROWS_CONTRADICT, ROWS_SHARED, LABEL_WORDS and ONE_CLASS for what its rows are like.",
    }),
    message: t.exposeString("message", { description: "What happened, in words." }),
    at: t.expose("at", { type: "DateTime", description: "When it happened." }),
  }),
});

const EventPayload = builder.objectRef<Event>("EventPayload").implement({
  description: "One event of the stream.",
  fields: (t) => ({
    cursor: t.exposeInt("sequence", { description: "Pass it as `after` to continue after this event." }),
    event: t.field({ type: EventRef, description: "The event.", resolve: (event) => event }),
  }),
});

builder.subscriptionField("events", (t) =>
  t.field({
    type: EventPayload,
    extensions: onlyRow,
    description: "Every event of a run, once and in order. Completes after the last event of a run that has ended.",
    args: {
      fineTuneId: t.arg.globalID({ for: FineTuneRef, required: true, description: "The run." }),
      after: t.arg.int({
        defaultValue: 0,
        description: "Number of the last event that you have; 0 starts from the first.",
        validate: z.int().min(0).nullish(),
      }),
    },
    subscribe: async (_root, { fineTuneId, after }, { store }) => {
      const { id } = await requireFineTune(store, fineTuneId.id, "fineTuneId");
      return store.feed.events(id, { after: after ?? 0 });
    },
    resolve: (event) => event,
  }),
);
