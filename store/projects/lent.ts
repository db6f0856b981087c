/** Files of a checkpoint are their owner's: it alone says whether they are made and how long they stay, and they are of its quota. */
import { SteplogError } from "../../schema/errors.ts";
import type { WeightsStatus } from "../../schema/states.ts";
import type { WantedKeep } from "../ends/expiry.ts";

/** What a borrower gets who asks for weights: those that are stored, or that the owner waits for. @throws INVALID_STATE */
export function lent<Row>(row: Row | null, status: WeightsStatus | undefined, keep: WantedKeep | undefined): Row {
  const isMade = status === "STORED" || status === "QUEUED";
  if (row && isMade && keep?.keepSeconds == null) return row;
  throw new SteplogError(
    "INVALID_STATE",
    "The checkpoint is lent to this project, to be read. What is stored of it can be downloaded; whether weights are stored, and " +
      "for how long, its owner says. Rebuild them from its log with steplog reconstruct, or ask the owner for them.",
  );
}
