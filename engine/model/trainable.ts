/** Which of a model's own tensors are trained. */
import { SteplogError } from "../../schema/errors.ts";
import { fitsPattern, unmatchedTensors } from "../../schema/name-patterns.ts";
import type { TrainableTensor } from "../../schema/step-log.ts";
import type { ModelFolder } from "./files/folder.ts";
import { locationOf } from "./files/folder.ts";
import { trainedDtype } from "./files/half.ts";

/** The tensors that full-parameter training changes, as a log's header lists them: in order of stored name. */
export function trainableTensors(folder: ModelFolder): TrainableTensor[] {
  const read = new Set(folder.locations.values());
  return folder.tensors
    .filter((tensor) => read.has(tensor))
    .map((tensor) => ({ name: tensor.name, shape: [...tensor.shape], dtype: trainedDtype(tensor) }));
}

/**
 * The trainable tensors whose stored names match one of the patterns (schema/name-patterns.ts).
 * @throws INVALID_ARGUMENT naming the first pattern that matches no tensor
 */
export function chosenTensors(folder: ModelFolder, patterns: readonly string[]): TrainableTensor[] {
  const all = trainableTensors(folder);
  const unknown = unmatchedTensors(patterns, { tensors: all.map(({ name }) => name) });
  if (unknown) {
    const { index, seen, advice } = unknown;
    const field = `hyperparameters.tensors[${index}]`;
    throw new SteplogError("INVALID_ARGUMENT", `${seen}. ${advice}`, [{ field, message: seen }]);
  }
  return all.filter(({ name }) => patterns.some((pattern) => fitsPattern(pattern, name)));
}

/** The tensors of the output head; with a tied head, the embedding table. */
export function headTensors(folder: ModelFolder): TrainableTensor[] {
  const { weight, bias } = folder.architecture.head;
  const names = new Set([weight, ...(bias === undefined ? [] : [bias])].map((name) => locationOf(folder, name).name));
  return trainableTensors(folder).filter(({ name }) => names.has(name));
}
