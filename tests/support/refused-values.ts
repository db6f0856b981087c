/** Values of each setting that are to be refused, made from what the table says of it. */
import { limits } from "../../schema/limits.ts";
import type { Setting } from "../../schema/setting.ts";

/** @returns every kind of value that the setting cannot have; at least one is of the right type where its type has a range */
export function refusedValues(one: Setting): readonly unknown[] {
  if (one.type === "switch") return ["yes", 1];
  if (one.type === "choice") return ["NONE_OF_THEM", 3];
  if (one.type === "names")
    return [[""], ["x".repeat(limits.nameLength + 1)], Array(limits.patterns + 1).fill("x"), [3]];
  const below = one.above ?? (one.min ?? 0) - (one.type === "integer" ? 1 : 1e-9);
  return [below, one.max + 1, "many", true, ...(one.type === "integer" ? [(one.min ?? 0) + 0.5] : [])];
}
