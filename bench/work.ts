/**
 * Counts the arithmetic of a pass, with a device that counts instead of computing. Models use it like any device, so it counts
 * what every device is asked for: linear layers on the rows still needed, attention up to the diagonal, the head at labelled
 * rows.
 */
import type { EncodedRow } from "../dataset/encode.ts";
import type { Activation, Device, Pass, Weight } from "../engine/devices/device.ts";
import { bytesPerElement, elementCount } from "../engine/devices/device.ts";
import type { ModelFolder } from "../engine/model/files/folder.ts";
import { loadModel } from "../engine/model/model.ts";

interface Work {
  /** Floating-point operations of matrix products and attention, a multiply-add as two. */
  flops: number;
  /** Stored bytes of weights read, counting every read. */
  weightBytes: number;
}

/** The work of one unperturbed pass over the rows; a perturbed pass has twice the flops. */
export async function workOf(folder: ModelFolder, rows: readonly EncodedRow[]): Promise<Work> {
  const work: Work = { flops: 0, weightBytes: 0 };
  const model = await loadModel(folder, countingDevice(work), "rademacher");
  await model.losses(rows);
  return work;
}

function countingDevice(work: Work): Device {
  const refuse = (): never => {
    throw new Error("the counting device has no values");
  };
  return {
    name: "counting",
    description: "counts operations",
    precisions: ["float32"],
    rowsApart: true,
    createWeight: (spec) => ({ ...spec, device: "counting" }),
    mapWeight: (spec) => ({ ...spec, device: "counting" }),
    freeWeight() {},
    readWeight: refuse,
    update: refuse,
    replay: refuse,
    begin: () => countingPass(work),
    createCache: () => ({ device: "counting" }),
    copyCache: () => ({ device: "counting" }),
    freeCache() {},
    dispose() {},
  };
}

function countingPass(work: Work): Pass {
  const shaped = (rows: number, columns: number): Activation => ({ rows, columns });
  const read = (...weights: (Weight | null)[]): void => {
    for (const weight of weights) if (weight) work.weightBytes += weightBytes(weight);
  };
  const product = (x: Activation, weight: Weight): void => {
    work.flops += 2 * x.rows * elementCount(weight.shape);
    read(weight);
  };
  return {
    embed(table, ids) {
      const [, columns = 0] = table.shape;
      work.weightBytes += ids.length * columns * bytesPerElement[table.dtype];
      return shaped(ids.length, columns);
    },
    add: (a) => a,
    multiply: (a) => a,
    scale: (x) => x,
    slice: (x, _first, count) => shaped(x.rows, count),
    layerNorm(x, weight, bias) {
      read(weight, bias);
      return x;
    },
    rmsNorm(x, weight) {
      read(weight);
      return x;
    },
    rotate: (x) => x,
    linear(x, weight, bias) {
      product(x, weight);
      read(bias);
      return shaped(x.rows, elementCount(weight.shape) / x.columns);
    },
    addLowRank(y, _x, parts) {
      for (const { a, b, rows } of parts) {
        work.flops += 2 * rows * (elementCount(a.shape) + elementCount(b.shape));
        read(a, b);
      }
      return y;
    },
    attention(q, _k, _v, { lengths, causal, window }) {
      for (const length of lengths) {
        // A score and a weighted value for every pair of positions, over all columns of the heads.
        work.flops += 4 * q.columns * pairs(length, causal, window ?? length);
      }
      return q;
    },
    activate: (x) => x,
    gather: (x, index) => shaped(index.length, x.columns),
    losses(x, head) {
      product(x, head);
      return Promise.resolve(new Float64Array(x.rows));
    },
    logits(x, head) {
      product(x, head);
      return Promise.resolve(new Float32Array(elementCount(head.shape) / x.columns));
    },
    end() {},
  };
}

function weightBytes(weight: Weight): number {
  return elementCount(weight.shape) * bytesPerElement[weight.dtype];
}

/** Pairs of a query and a key visible to it. */
function pairs(length: number, causal: boolean, window: number): number {
  if (!causal) return length * length;
  const hidden = Math.max(0, length - window);
  return (length * (length + 1)) / 2 - (hidden * (hidden + 1)) / 2;
}
