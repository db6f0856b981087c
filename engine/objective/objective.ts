/**
 * What a run minimises. MeZO needs loss values and no gradient, so the objective may be anything that can be measured:
 * the loss of the scored tokens (here), a choice between candidates (choices.ts), or the score of generated answers
 * (answers.ts). The last two can be functions without a gradient, such as accuracy or F1 (MeZO, section 3.3).
 */
import { invariant } from "../../schema/errors.ts";
import type { EncodedRow } from "../../dataset/encode.ts";
import type { Perturbation } from "../devices/device.ts";
import type { ForwardModel } from "../model/model.ts";

export interface Objective {
  /** Number of rows that batches are drawn from. */
  readonly count: number;
  /** The same rows by a loss that has a gradient, of an objective that has none. */
  readonly smooth?: Objective;
  /**
   * Values whose mean is minimised, for the rows with the given indices: one array for each side of the perturbation
   * (plus, then minus unless it is one-sided), or one at the stored weights when the perturbation is null.
   */
  measure(
    model: ForwardModel,
    indices: readonly number[],
    perturbation: Perturbation | null,
  ): Promise<readonly Float64Array[]>;
}

/** Language modelling: the mean loss over the scored tokens of a batch, in nats. */
export function tokenLoss(rows: readonly EncodedRow[]): Objective {
  return {
    count: rows.length,
    measure: (model, indices, perturbation) => model.sideLosses(pick(rows, indices), perturbation),
  };
}

export function pick<T>(rows: readonly T[], indices: readonly number[]): T[] {
  return indices.map((index) => {
    const row = rows[index];
    invariant(row !== undefined, "a batch is made of existing rows");
    return row;
  });
}
