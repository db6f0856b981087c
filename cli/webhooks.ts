/** Webhooks as commands find them, and the words and options that several of these commands have. */
import { Option } from "commander";
import type { SteplogClient } from "../client/index.ts";
import { didYouMean } from "../schema/did-you-mean.ts";
import { SteplogError } from "../schema/errors.ts";
import { webhookEvents } from "../schema/webhooks.ts";
import { listedWebhooks, type WebhookDeliveryFragment } from "./operations.ts";
import { partsOf, shortId } from "./short-ids.ts";

export const eventOption = () => new Option("--event <type...>", "only messages of these types").choices(webhookEvents);

/**
 * The id of the webhook that begins so, or has this address or description: a project has few, and all are looked at.
 * @throws NOT_FOUND; INVALID_ARGUMENT for the id of something else, and for what several are called
 */
export async function webhookOf(client: SteplogClient, given: string): Promise<string> {
  const whole = partsOf(given);
  if (whole?.type === "Webhook") return given;
  if (whole)
    throw new SteplogError("INVALID_ARGUMENT", `${given} is the id of a ${whole.type}, and this needs a webhook.`);
  const { webhooks } = await client.query(listedWebhooks, {});
  const begins = (id: string) => given.length >= 4 && (partsOf(id)?.uuid ?? id).startsWith(given.toLowerCase());
  const found = webhooks.filter(
    ({ id, url, description }) => begins(id) || url === given || (given !== "" && description === given),
  );
  const [only, ...others] = found;
  if (only && others.length === 0) return only.id;
  if (!only) {
    const names = webhooks.flatMap(({ id, url, description }) => [shortId(id), url, description].filter(Boolean));
    const hint = didYouMean(given, names);
    const message = `There is no webhook whose id begins with, or that has the address or description, ${JSON.stringify(given)}.${hint}`;
    throw new SteplogError("NOT_FOUND", `${message} List them: steplog webhooks ls`);
  }
  const issues = found.map(({ id, url, description }) => ({ message: [shortId(id), url, description].join("  ") }));
  throw new SteplogError("INVALID_ARGUMENT", `${JSON.stringify(given)} may be several. Give more of its id:`, issues);
}

/** What the last attempt met: "answered 204", why it failed, or "-" before the first one. */
export function lastAttemptInWords({ attempts }: Pick<WebhookDeliveryFragment, "attempts">): string {
  const last = attempts.at(-1);
  if (!last) return "-";
  return last.error ?? (last.responseCode === null ? "under way" : `answered ${last.responseCode}`);
}

export function eventsInWords(events: readonly string[]): string {
  return events.length === 0 ? "all changes" : events.join(", ");
}
