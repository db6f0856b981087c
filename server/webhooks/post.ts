/** One attempt: a signed POST (standardwebhooks.com), and what came of it. */
import { STATUS_CODES } from "node:http";
import { Webhook } from "standardwebhooks";
import { Agent, request } from "undici";
import { version } from "../../schema/package.ts";
import { webhookIdOf, webhookLimits, webhookTimeoutMs } from "../../schema/webhooks.ts";
import type { AttemptOutcome, ClaimedDelivery } from "../../store/store.ts";
import type { Addresses } from "./addresses.ts";

export interface Poster {
  /** Never rejects. @param stopping breaks the attempt off */
  post(delivery: ClaimedDelivery, stopping: AbortSignal): Promise<AttemptOutcome>;
  close(): Promise<void>;
}

/** Follows no redirect, uses no proxy, and connects to no address that was not checked. */
export function posterOf(addresses: Addresses, timeoutMs = webhookTimeoutMs): Poster {
  const agent = new Agent({ connect: { lookup: addresses.lookup, timeout: timeoutMs } });
  return {
    close: () => agent.destroy(),
    async post(delivery, stopping) {
      const started = performance.now();
      const late = AbortSignal.timeout(timeoutMs);
      const seconds = () => (performance.now() - started) / 1_000;
      const failed = (error: string) => ({ result: "FAILED" as const, seconds: seconds(), responseCode: null, error });
      const refused = addresses.literal(new URL(delivery.url));
      if (refused !== null) return failed(`${refused}.`);
      try {
        const answer = await send(agent, delivery, AbortSignal.any([late, stopping]));
        return { ...answer, seconds: seconds() };
      } catch (error) {
        if (late.aborted) return failed(`No answer within ${timeoutMs / 1_000} seconds.`);
        if (stopping.aborted) return { ...failed("The gateway stopped before the answer."), result: "BROKEN_OFF" };
        return failed(reasonOf(error));
      }
    },
  };
}

async function send(
  agent: Agent,
  delivery: ClaimedDelivery,
  signal: AbortSignal,
): Promise<Omit<AttemptOutcome, "seconds">> {
  const { statusCode, body } = await request(delivery.url, {
    dispatcher: agent,
    method: "POST",
    headers: headersOf(delivery),
    body: delivery.payload,
    signal,
  });
  const text = await start(body);
  if (statusCode >= 200 && statusCode < 300) return { result: "DELIVERED", responseCode: statusCode, error: null };
  const name = STATUS_CODES[statusCode];
  const status = name === undefined ? String(statusCode) : `${statusCode} (${name})`;
  const error = `The answer was ${status}${text === "" ? "" : `: ${text}`}`;
  return { result: "FAILED", responseCode: statusCode, error, gone: statusCode === 410 };
}

/** Signed by each secret that is valid: receivers accept any. They refuse a time that is minutes from theirs. */
function headersOf({ messageId, payload, secrets, claimedAt: now }: ClaimedDelivery): Record<string, string> {
  const id = webhookIdOf(messageId);
  return {
    "content-type": "application/json",
    "user-agent": `steplog/${version}`,
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(now.getTime() / 1_000)),
    "webhook-signature": secrets.map((secret) => new Webhook(secret).sign(id, now, payload)).join(" "),
  };
}

/** The start of an answer, for the log; the rest is not read. */
async function start(body: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of body) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes >= webhookLimits.answerBytes) break;
  }
  const text = Buffer.concat(pieces).subarray(0, webhookLimits.answerBytes).toString();
  return text
    .replaceAll(/[\p{Cc}\s]+/gu, " ")
    .trim()
    .slice(0, webhookLimits.answerKept);
}

/** Node's and undici's errors wrap their cause. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return reasonOf(error.errors[0]);
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? reasonOf(error.cause) : error.message;
}
