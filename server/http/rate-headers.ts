/**
 * What a client may still send, in headers. RateLimit-Policy and RateLimit are those of draft-ietf-httpapi-ratelimit-headers-11,
 * structured fields of RFC 9651; x-ratelimit-* are those that clients of the OpenAI protocol read.
 */
import type { ServerResponse } from "node:http";
import { type RateName, rateWindowS } from "../../schema/rates.ts";
import type { Meter } from "../rate-limits.ts";

/** Charges one of the viewer's limits, and says in the answer to come what is left. @throws RATE_LIMITED */
export async function charge(
  meter: Meter,
  { name, points }: { readonly name: RateName; readonly points: number },
  response: ServerResponse,
): Promise<void> {
  try {
    await meter.charge(name, points);
  } finally {
    await tell(meter, name, response);
  }
}

async function tell(meter: Meter, name: RateName, response: ServerResponse): Promise<void> {
  const use = await meter.use(name);
  if (!use || response.headersSent) return;
  const { limit, remaining, resetsInS } = use;
  const partition = `pk=:${meter.partition.toString("base64")}:`;
  response.setHeader("ratelimit-policy", `"${name}";q=${limit};w=${rateWindowS};${partition}`);
  response.setHeader("ratelimit", `"${name}";r=${remaining};t=${resetsInS};${partition}`);
  if (name !== "openai") return;
  response.setHeader("x-ratelimit-limit-requests", String(limit));
  response.setHeader("x-ratelimit-remaining-requests", String(remaining));
  response.setHeader("x-ratelimit-reset-requests", `${resetsInS}s`);
}

/** For pages of other origins that are listed. */
export const rateHeaders = [
  "ratelimit",
  "ratelimit-policy",
  "retry-after",
  "x-ratelimit-limit-requests",
  "x-ratelimit-remaining-requests",
  "x-ratelimit-reset-requests",
];
