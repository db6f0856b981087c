/** Times as options take them. */
import { InvalidArgumentError } from "commander";
import type { ExpiryInput } from "../client/schema-types.ts";
import { longestTtl } from "../schema/expiry.ts";
import { secondsOfDay } from "../schema/units.ts";

export const unitSeconds = { s: 1, m: 60, h: 3_600, d: secondsOfDay } as const;

/** A date, or a date and a time. */
export function timeIn(text: string): Date {
  const time = new Date(text);
  if (!Number.isNaN(time.getTime())) return time;
  throw new InvalidArgumentError("Give a time such as 2026-01-31 or 2026-01-31T12:00:00Z.");
}

/** When something is to end: "30d" from now, a time, or "never". */
export function expiryIn(text: string): ExpiryInput {
  if (text === "never") return { never: true };
  const [, amount, unit] = /^(\d+(?:\.\d+)?)([smhd])$/u.exec(text) ?? [];
  const ttl = Number(amount) * unitSeconds[unit as keyof typeof unitSeconds];
  if (ttl > 0 && ttl <= longestTtl) return { ttl };
  if (unit === undefined && /^\d{4}-/u.test(text)) return { at: timeIn(text).toISOString() };
  throw new InvalidArgumentError(
    "Give 30d, 12h or 90s from now (ten years at most), a time such as 2026-01-31, or never.",
  );
}

export const expiryWords = "30d, 12h or 90s from now, a time such as 2026-01-31 or 2026-01-31T12:00:00Z, or never";
