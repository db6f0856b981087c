/** Settings for those who have none of their own. What they promise was measured: docs/LEARNING.md. */
import { hyperparameterTable } from "../../../schema/hyperparameter-table.ts";
import { formatInteger } from "../format.ts";
import type { SettingTexts } from "../parts/form/settings.ts";

export type Kind = "QUICK" | "CAREFUL" | "OWN";

const quickSteps = 500;
/** A curve, rather than a line from the start to the end. */
const quickEvery = String(quickSteps / 5);
const steps = hyperparameterTable.steps.default;
/** Ten evaluations and checkpoints a run. */
const every = String(steps / 10);

export const kindNames: Readonly<Record<Kind, string>> = { QUICK: "Quick", CAREFUL: "Careful", OWN: "Your own" };

export const kindWords: Readonly<Record<Kind, string>> = {
  QUICK:
    `A first look: ${formatInteger(quickSteps)} steps, an eighth of the time. On the task that we measured, the share of right ` +
    "answers rose from 50% to 75%.",
  CAREFUL:
    `The defaults that were measured: ${formatInteger(steps)} steps, a learning rate that is chosen by measuring, and a ` +
    `checkpoint every ${formatInteger(Number(every))} steps, at which validation rows are measured too. On the same task, from 50% to 86%.`,
  OWN: "Every setting, with its range and its default.",
};

/** Evaluations need validation rows. */
export function presetSettings(kind: Exclude<Kind, "OWN">, validates: boolean): SettingTexts {
  if (kind === "QUICK") return { steps: String(quickSteps), ...(validates && { evaluateEvery: quickEvery }) };
  return { checkpointEvery: every, ...(validates && { evaluateEvery: every }) };
}
