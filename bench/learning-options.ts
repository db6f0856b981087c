/** Options of `bench learning` as the command line gives them. */
import { InvalidArgumentError } from "commander";
import { z } from "zod";
import type { Contender } from "./learning.ts";

const contenderSchema = z.looseObject({ name: z.string().min(1), passes: z.int().positive().optional() });

/** {"name": "SPSA", "passes": 9000, "estimator": "SPSA"}, added to the contenders before it. */
export function contenderOf(text: string, before: readonly Contender[] = []): Contender[] {
  const parsed = contenderSchema.safeParse(jsonOf(text));
  if (!parsed.success) throw new InvalidArgumentError("must be a JSON object of a name, and settings of a fine-tune");
  const { name, passes, ...settings } = parsed.data;
  return [...before, { name, ...(passes !== undefined && { passes }), settings }];
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** "1,2,3" or "1-3". */
export function seedsOf(text: string): number[] {
  const [, first, last] = /^(\d+)-(\d+)$/u.exec(text) ?? [];
  const span = Math.max(0, Math.min(1000, Number(last) - Number(first) + 1));
  if (first !== undefined && span > 0) return Array.from({ length: span }, (_, i) => Number(first) + i);
  if (/^\d+(,\d+)*$/u.test(text)) return text.split(",").map(Number);
  throw new InvalidArgumentError("must be seeds such as 1,2,3 or 1-5");
}
