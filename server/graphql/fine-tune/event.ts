/** Events: the story of a run, in words. */
import { z } from "zod";
import type { Event } from "../../../schema/tables.ts";
import { builder } from "../builder.ts";
import { requireFineTune } from "../lookup.ts";
import { FineTuneRef } from "../nodes.ts";

export const EventRef = builder.objectRef<Event>("Event").implement({
  description: "A change of state, or another notable moment, of a run.",
  fields: (t) => ({
    sequence: t.exposeInt("sequence", { description: "Number of the event within its run, from 1, with no gap." }),
    type: t.exposeString("type", { description: "Kind of event: QUEUED, RUNNING, SUCCEEDED, ..." }),
    message: t.exposeString("message", { description: "What happened, for people." }),
    at: t.expose("at", { type: "DateTime", description: "When it happened." }),
  }),
});

const EventPayload = builder.objectRef<Event>("EventPayload").implement({
  description: "One event, as the stream gives it.",
  fields: (t) => ({
    cursor: t.exposeInt("sequence", { description: "Give it as `after` to go on behind this event." }),
    event: t.field({ type: EventRef, description: "The event.", resolve: (event) => event }),
  }),
});

builder.subscriptionField("events", (t) =>
  t.field({
    type: EventPayload,
    description: "Every event of a run once and in order. Completes when the run has ended and all are given.",
    args: {
      fineTuneId: t.arg.globalID({ for: FineTuneRef, required: true, description: "The run." }),
      after: t.arg.int({
        defaultValue: 0,
        description: "Cursor (number) of the last event that you have, 0 or more.",
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
