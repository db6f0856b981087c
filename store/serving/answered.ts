/** What a worker has to say of one completion. */
import type { Piece } from "../../schema/completion.ts";
import type { Lease } from "../queue/leases.ts";
import type { CompletionEnd } from "./lifecycle.ts";

export interface Answered {
  readonly job: Lease;
  /** Pieces before these. */
  readonly after: number;
  readonly pieces: readonly Piece[];
  /** After these pieces; null while it goes on. */
  readonly end: CompletionEnd | null;
  /** With the end: the worker's time that it took, as far as it is known. */
  readonly seconds?: number;
}
