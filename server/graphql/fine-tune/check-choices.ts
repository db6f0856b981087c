/** What a run asks for that needs rows which choose between words: a calibration of their scores, a linear probe. */
import { SteplogError } from "../../../schema/errors.ts";
import type { Hyperparameters } from "../../../schema/hyperparameters.ts";
import type { Choices } from "../../../schema/row-findings.ts";
import { invalidArgument } from "../../errors.ts";

/** Of the datasets that a run has and whose rows fit. */
export interface ChoicesOfRows {
  readonly dataset?: Choices;
  readonly validationDataset?: Choices;
  readonly testDataset?: Choices;
}

/** @throws INVALID_ARGUMENT for a linear probe of rows that have no classes in common */
export function refuseProbe({ linearProbe }: Pick<Hyperparameters, "linearProbe">, found: ChoicesOfRows): void {
  const { dataset = "SAME", validationDataset = "SAME" } = found;
  if (!linearProbe || (dataset === "SAME" && validationDataset === "SAME")) return;
  const rows = dataset === "SAME" ? "validation" : "training";
  const seen = [dataset, validationDataset].includes("NONE") ? "have none" : "do not have the same";
  const message = `a linear probe needs label words, or the same candidates in every row; the ${rows} rows ${seen}. Leave linearProbe out`;
  throw invalidArgument([{ path: ["linearProbe"], message }], ["input", "hyperparameters"]);
}

/** @throws INVALID_ARGUMENT for a calibration, if it is given, of rows of which none chooses between words */
export function refuseCalibration(given: string | null, found: readonly Choices[]): void {
  if (given === null || found.length === 0 || found.some((choices) => choices !== "NONE")) return;
  const message = `calibrates the scores of candidates, and no row has any; it is ${JSON.stringify(given)}. Leave it out, or give labelWords`;
  throw new SteplogError("INVALID_ARGUMENT", `input.calibrationPrompt: ${message}.`, [
    { field: "input.calibrationPrompt", message },
  ]);
}
