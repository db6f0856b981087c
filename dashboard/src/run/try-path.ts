/** The playground with a run beside its base model: is it better than before? */
import { playgroundPath } from "../playground/address.ts";
import type { Run } from "./run-state.ts";

/** @param model id of one of its checkpoints; left out, its best */
export function tryPath({ id, baseModel, labelWords }: Run, model = id): string {
  return playgroundPath([baseModel.name, model], labelWords.length > 0 ? "labels" : "text");
}
