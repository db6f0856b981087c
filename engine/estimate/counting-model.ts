/** A model that computes nothing: it counts passes, and the tokens that they read, where another one would compute them. */
import type { Passes } from "../../schema/estimate.ts";
import type { EncodedRow } from "../../dataset/encode.ts";
import type { Perturbation } from "../devices/device.ts";
import { sidesOf } from "../devices/device.ts";
import type { ModelFolder } from "../model/files/folder.ts";
import type { ForwardModel } from "../model/model.ts";
import { sum } from "../numbers/mean.ts";
import { visibleTokens } from "../model/packing.ts";

/** Where a counting model adds up. */
export class PassCounter implements Passes {
  passes = 0;
  tokens = 0;

  add(passes: number, tokens: number): void {
    this.passes += passes;
    this.tokens += passes * tokens;
  }
}

interface Counted {
  readonly counter: PassCounter;
  /** Tokens of the context that an adapter takes. */
  readonly taken: number;
  /** The tokens that answers consist of, one for each side, so that sides never share a sequence. */
  readonly answers: readonly [number, number];
}

/** All losses are 0, and answers end at their longest. */
export function countingModel(folder: ModelFolder, { counter, taken, answers }: Counted): ForwardModel {
  const { architecture } = folder;
  const seen = (ids: Int32Array, positions: Int32Array) => visibleTokens(architecture, ids, positions).length;
  const losses = (rows: readonly EncodedRow[], perturbation: Perturbation | null) => {
    const sides = sidesOf(perturbation);
    counter.add(
      sides,
      sum(rows, ({ ids, positions }) => seen(ids, positions)),
    );
    const scored = sum(rows, ({ targets }) => targets.length);
    return Array.from({ length: sides }, () => new Float64Array(scored));
  };
  return {
    folder,
    contextLength: architecture.contextLength - taken,
    losses: (rows) => Promise.resolve(losses(rows, null)[0] ?? new Float64Array()),
    sideLosses: (rows, perturbation) => Promise.resolve(losses(rows, perturbation)),
    sideLogits(sequences, perturbation) {
      const sides = sidesOf(perturbation);
      counter.add(
        sides,
        sum(sequences, ({ length }) => length),
      );
      return Promise.resolve(answers.slice(0, sides).map((answer) => logitsOf(answer, sequences.length)));
    },
    hiddenStates(sequences) {
      counter.add(
        1,
        sum(sequences, ({ ids, at }) => seen(ids, Int32Array.of(at))),
      );
      return Promise.resolve(new Float32Array(sequences.length));
    },
    continuation: () => ({
      next(ids) {
        counter.add(1, ids.length);
        return Promise.resolve(logitsOf(answers[0], 1));
      },
      end() {},
    }),
  };
}

/** Rows in which `answer` is the likeliest. */
function logitsOf(answer: number, rows: number): Float32Array {
  const logits = new Float32Array(rows * (answer + 1));
  for (let row = 1; row <= rows; row++) logits[row * (answer + 1) - 1] = 1;
  return logits;
}
