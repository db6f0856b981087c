/** What each type of message tells, for whoever chooses among them. */
import { webhookEvents } from "../../../../schema/webhooks.ts";

export const eventWords: Readonly<Record<string, string>> = {
  "fine_tune.queued": "A run waits for a worker: it is new, or goes on after a pause.",
  "fine_tune.running": "A worker trains a run.",
  "fine_tune.paused": "A run was paused.",
  "fine_tune.succeeded": "A run has succeeded.",
  "fine_tune.failed": "A run has failed, and why.",
  "fine_tune.cancelled": "A run was cancelled.",
  "fine_tune.evaluated": "A run was measured on its validation rows.",
  "fine_tune.updated": "A run's name, tags or notes have changed.",
  "fine_tune.deleted": "A run was deleted.",
  "dataset.created": "A dataset was stored.",
  "dataset.deleted": "A dataset was deleted.",
  "checkpoint.created": "A run has a checkpoint.",
  "checkpoint.weights_stored": "Weights of a checkpoint can be downloaded.",
  "checkpoint.weights_failed": "Weights of a checkpoint could not be rebuilt.",
  "checkpoint.export_stored": "Weights in another form can be downloaded.",
  "checkpoint.export_failed": "Weights in another form could not be made.",
  "checkpoint.weights_deleted": "Stored weights were deleted.",
  "checkpoint.deleted": "A checkpoint was deleted.",
  "evaluation.queued": "An evaluation waits for a worker.",
  "evaluation.running": "A worker evaluates a model.",
  "evaluation.succeeded": "An evaluation has ended, with its results.",
  "evaluation.failed": "An evaluation has failed, and why.",
  "evaluation.cancelled": "An evaluation was cancelled.",
  "evaluation.deleted": "An evaluation was deleted.",
  "alias.set": "A name points at a model.",
  "alias.removed": "A name was removed.",
  "webhook.disabled": "The service disabled a webhook, since nobody answered it.",
};

const nouns: Readonly<Record<string, string>> = {
  fine_tune: "Runs",
  dataset: "Datasets",
  checkpoint: "Checkpoints",
  evaluation: "Evaluations",
  alias: "Names of models",
  webhook: "Webhooks",
};

/** The types by what they are about, in the service's order. */
export const eventGroups = Object.entries(nouns).map(([noun, name]) => ({
  name,
  events: webhookEvents.filter((event) => event.startsWith(`${noun}.`)),
}));

/** "All changes", "fine_tune.failed and 2 others" */
export function eventsInShort(events: readonly string[]): string {
  const [first, ...others] = events;
  if (first === undefined) return "All changes";
  if (others.length === 0) return first;
  return `${first} and ${others.length} ${others.length === 1 ? "other" : "others"}`;
}
