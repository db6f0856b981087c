/**
 * The start of a prefix: the keys and values of a forward pass of the base over a few tokens. A log must give the same bits on
 * every machine, so the plain device runs the pass, whatever device trains: it computes the same bits everywhere
 * (deterministic-math.ts). The base need not fit in memory: a tensor is read when an operation needs it, and only the rows
 * used of a table.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { invariant } from "../../../schema/errors.ts";
import type { Activation, Pass, Weight } from "../../devices/device.ts";
import { createPlainDevice, plainValues } from "../../devices/plain.ts";
import { changedPass } from "./adapter.ts";
import type { ModelFolder } from "../files/folder.ts";
import { locationOf } from "../files/folder.ts";
import { asTrained, trainedDtype } from "../files/half.ts";
import type { TensorLocation } from "../files/safetensors.ts";
import { damaged } from "../files/safetensors.ts";

/** [tokens, 2 * layers * columns]: the keys of layer l in part 2l, its values in part 2l + 1. @throws MODEL_INVALID */
export function keysAndValues(base: ModelFolder, ids: Int32Array): Float32Array {
  const { architecture } = base;
  const files = new OpenFiles();
  try {
    const attended: Activation[] = [];
    const pass = readingPass(base, files, attended);
    const tokens = { ids, lengths: [ids.length] };
    architecture.forward(pass, (name) => unreadWeight(base, name), tokens, Int32Array.of(ids.length - 1));
    invariant(attended.length === 2 * architecture.layers, "every layer attends once");
    return sideBySide(attended.map(plainValues), ids.length);
  } finally {
    files.close();
  }
}

/** A pass on the plain device that reads weights when it uses them and collects the keys and values of its attention. */
function readingPass(base: ModelFolder, files: OpenFiles, attended: Activation[]): Pass {
  const device = createPlainDevice();
  const pass = device.begin(null);
  const use = <T>(weights: readonly (Weight | null)[], run: (...read: (Weight | null)[]) => T): T => {
    const read = weights.map(
      (weight) => weight && device.createWeight(weight, files.read(locationOf(base, weight.name))),
    );
    const result = run(...read);
    for (const weight of read) if (weight) device.freeWeight(weight);
    return result;
  };
  return changedPass(pass, {
    embed(table, ids) {
      const shape = [ids.length, table.shape[1] ?? 0];
      const rows = device.createWeight({ ...table, shape }, files.readRows(locationOf(base, table.name), ids));
      const out = pass.embed(rows, Int32Array.from(ids.keys()));
      device.freeWeight(rows);
      return out;
    },
    linear: (x, weight, bias, layout) => use([weight, bias], (w, b) => pass.linear(x, one(w), b ?? null, layout)),
    layerNorm: (x, weight, bias, epsilon) =>
      use([weight, bias], (w, b) => pass.layerNorm(x, w ?? null, b ?? null, epsilon)),
    rmsNorm: (x, weight, ...rest) => use([weight], (w) => pass.rmsNorm(x, one(w), ...rest)),
    attention(q, k, v, shape) {
      attended.push(k, v);
      return pass.attention(q, k, v, shape);
    },
  });
}

function one(weight: Weight | null | undefined): Weight {
  invariant(weight, "an operation has its weight");
  return weight;
}

/** A weight that the pass has yet to read, under the name of its definition. */
function unreadWeight(base: ModelFolder, name: string): Weight {
  const location = locationOf(base, name);
  return { name, shape: location.shape, dtype: trainedDtype(location), trainable: false, device: "file" };
}

/** Matrices [rows, columns] side by side. */
function sideBySide(parts: readonly Float32Array[], rows: number): Float32Array {
  const out = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (let row = 0; row < rows; row++) {
    for (const part of parts) {
      const columns = part.length / rows;
      out.set(part.subarray(row * columns, (row + 1) * columns), at);
      at += columns;
    }
  }
  return out;
}

/** Reads tensors synchronously, because a pass cannot wait. */
class OpenFiles {
  readonly #files = new Map<string, number>();

  /** The elements in the dtype of training. */
  read(tensor: TensorLocation): Uint8Array {
    return this.#read(tensor, 0, tensor.bytes);
  }

  readRows(tensor: TensorLocation, rows: Int32Array): Uint8Array {
    const bytes = tensor.bytes / (tensor.shape[0] ?? 1);
    return Buffer.concat(Array.from(rows, (row) => this.#read(tensor, row * bytes, bytes)));
  }

  close(): void {
    for (const file of this.#files.values()) closeSync(file);
  }

  #read(tensor: TensorLocation, from: number, length: number): Uint8Array {
    const file = this.#files.get(tensor.path) ?? openSync(tensor.path, "r");
    this.#files.set(tensor.path, file);
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length;) {
      const count = readSync(file, bytes, at, Math.min(length - at, pieceBytes), tensor.offset + from + at);
      if (count === 0) throw damaged(tensor.path, `it ended inside tensor ${tensor.name}`);
      at += count;
    }
    return asTrained(tensor, bytes);
  }
}

/** One call of readSync reads less than 2 GiB. */
const pieceBytes = 2 ** 30;
