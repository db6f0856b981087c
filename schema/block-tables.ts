/** Steps merged into blocks (store/runs/step-blocks.ts). */
import { doublePrecision, integer, pgTable, primaryKey, uuid } from "drizzle-orm/pg-core";
import { fineTunes } from "./tables.ts";

/**
 * Steps merged for charts of long runs: block b has what was measured of steps b * blockSteps + 1 to (b + 1) * blockSteps. A run has
 * blocks 0, 1, ... up to some block; those of a worker of the release before come with a later append, or never.
 */
export const stepBlocks = pgTable(
  "step_blocks",
  {
    fineTuneId: uuid("fine_tune_id")
      .notNull()
      .references(() => fineTunes.id, { onDelete: "cascade" }),
    block: integer("block").notNull(),
    /** Finite losses, and their sum, least and greatest; null without any. */
    finite: integer("finite").notNull(),
    lossSum: doublePrecision("loss_sum"),
    lossMin: doublePrecision("loss_min"),
    lossMax: doublePrecision("loss_max"),
    /** Finite projected gradients, and the sum of their squares; null without any. */
    gradients: integer("gradients").notNull(),
    gradientSquares: doublePrecision("gradient_squares"),
    /** Of the last step. */
    learningRate: doublePrecision("learning_rate").notNull(),
    secondsSum: doublePrecision("seconds_sum").notNull(),
  },
  (t) => [primaryKey({ columns: [t.fineTuneId, t.block] })],
);
