/** What is compared, and along what. It is in the address, so that it can be sent to somebody. */
import { comparePath } from "../base.ts";

export const mostCompared = 10;

/** The axes, in words. */
export const axisNames = { steps: "Steps", passes: "Forward passes", time: "Seconds of training" } as const;
export type Axis = keyof typeof axisNames;

export interface Comparison {
  readonly ids: readonly string[];
  readonly axis: Axis;
  readonly log: boolean;
}

/** What the address does not say, or says wrongly, is left at its default. */
export function comparisonOf({ runs = "", x = "", log }: Readonly<Record<string, string>>): Comparison {
  const ids = [...new Set(runs.split(",").filter((id) => id !== ""))].slice(0, mostCompared);
  return { ids, axis: x in axisNames ? (x as Axis) : "steps", log: log === "yes" };
}

export function addressOf({ ids, axis, log }: Comparison): string {
  return `${comparePath(ids)}${axis === "steps" ? "" : `&x=${axis}`}${log ? "&log=yes" : ""}`;
}
