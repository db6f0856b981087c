/** Aliases in words. */
import type { Alias } from "../client/index.ts";

/** What an alias points at: "the base model demo", "step 500 of reviews (Q2hlY2twb2ludDo...)". */
export function pointsAt({ baseModel, checkpoint }: Alias): string {
  if (!checkpoint) return `the base model ${baseModel.name}`;
  return `step ${checkpoint.step} of ${checkpoint.fineTune.name} (${checkpoint.id})`;
}
