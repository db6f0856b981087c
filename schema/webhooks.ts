/** Webhooks in the words that both sides share: what is told, when it is tried again, and when it is given up. */
import { completionStatuses } from "./completion-states.ts";
import { fineTuneStatuses } from "./states.ts";

const statusesOf = (noun: string, statuses: readonly string[]) => statuses.map((one) => `${noun}.${one.toLowerCase()}`);

/** Everything that an endpoint can ask for. */
export const webhookEvents: readonly string[] = [
  ...statusesOf("fine_tune", fineTuneStatuses),
  "fine_tune.evaluated",
  "fine_tune.updated",
  "fine_tune.deleted",
  "dataset.created",
  "dataset.deleted",
  "checkpoint.created",
  "checkpoint.weights_stored",
  "checkpoint.weights_failed",
  "checkpoint.export_stored",
  "checkpoint.export_failed",
  "checkpoint.weights_deleted",
  "checkpoint.deleted",
  ...statusesOf("evaluation", completionStatuses),
  "evaluation.deleted",
  "alias.set",
  "alias.removed",
  "webhook.disabled",
];

/** Sent to one endpoint, on request, whatever it asks for. */
export const testEvent = "webhook.test";

export const webhookLimits = {
  /** Endpoints of one project. */
  endpoints: 20,
  /** Characters. */
  urlLength: 2_048,
  descriptionLength: 500,
  /** Bytes of an answer that are read, and characters of it that are kept when it is no success. */
  answerBytes: 16_384,
  answerKept: 300,
} as const;

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** The pauses after the first failed attempt, the second and so on. After the last one, the delivery has failed. */
export const webhookPausesMs: readonly number[] = [
  5 * second,
  5 * minute,
  30 * minute,
  2 * hour,
  5 * hour,
  10 * hour,
  14 * hour,
  20 * hour,
  24 * hour,
];

/** How long one attempt may take, from the lookup of the name to the end of the answer. */
export const webhookTimeoutMs = 10 * second;
/** An attempt whose outcome is not known by then is made again, by any gateway. */
export const webhookLeaseMs = 3 * webhookTimeoutMs;
/** An endpoint is disabled at a failure when all attempts of so long have failed. */
export const webhookPatienceMs = 3 * day;
/** How long both secrets sign after a rotation. */
export const webhookOverlapMs = day;
/** How long messages are kept, with the log of their deliveries. */
export const keepWebhooksMs = 30 * day;

export const deliveryStatuses = ["PENDING", "DELIVERED", "FAILED"] as const;
export type DeliveryStatus = (typeof deliveryStatuses)[number];

/** The `webhook-id` of a message: the same in every attempt and every replay. */
export function webhookIdOf(messageId: string): string {
  return `msg_${messageId}`;
}

/** The row that a `webhook-id` names. */
export function messageOf(webhookId: string): string {
  return webhookId.replace(/^msg_/u, "");
}

/** An id as the API gives it. */
export function globalIdOf(type: string, id: string): string {
  return btoa(`${type}:${id}`);
}

/** The row that an id of the API names; what is no such id stays as it is. */
export function rowIdOf(id: string): string {
  try {
    return /^\w+:(.+)$/u.exec(atob(id))?.[1] ?? id;
  } catch {
    return id;
  }
}
