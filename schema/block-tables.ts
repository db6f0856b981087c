/** Steps merged into blocks (store/runs/step-blocks.ts). */
import { doublePrecision, integer, pgTable, primaryKey, smallint, uuid } from "drizzle-orm/pg-core";
import { fineTunes } from "./tables.ts";

/** Of every size: what was measured of the steps of a block. */
const merged = {
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
};

const fineTuneId = () =>
  uuid("fine_tune_id")
    .notNull()
    .references(() => fineTunes.id, { onDelete: "cascade" });

/**
 * Steps merged for charts: block b of a size has the steps b * size + 1 to (b + 1) * size. A run has blocks 0, 1, ... up to some
 * block of each size; those that an earlier release did not make come with a later append, or never.
 */
export const mergedSteps = pgTable(
  "merged_steps",
  { fineTuneId: fineTuneId(), size: smallint("size").notNull(), block: integer("block").notNull(), ...merged },
  (t) => [primaryKey({ columns: [t.fineTuneId, t.size, t.block] })],
);

/** The same of 64 steps, which the release before writes and reads. The next release drops it. */
export const stepBlocks = pgTable(
  "step_blocks",
  { fineTuneId: fineTuneId(), block: integer("block").notNull(), ...merged },
  (t) => [primaryKey({ columns: [t.fineTuneId, t.block] })],
);
