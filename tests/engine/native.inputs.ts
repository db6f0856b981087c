/** Transformer blocks of random shape, which exercise what the native device joins; run on several devices. */
import type { Activation, AttentionShape, Pass, Perturbation, WeightDtype } from "../../engine/devices/device.ts";
import { elementCount } from "../../engine/devices/device.ts";
import { nativeAddon } from "../../engine/native/addon.ts";
import { toBfloat16 } from "../../engine/numbers/scalar.ts";
import type { LogEntry } from "../../schema/step-log.ts";
import type { Computation, Lookup } from "./devices.inputs.ts";
import { Draw } from "./devices.inputs.ts";

/** Those of this machine; without the addon there are none, and nothing to test, unless the device was promised. */
export const instructionSets = listInstructionSets();

function listInstructionSets(): string[] {
  try {
    return nativeAddon().instructionSets();
  } catch {
    return [];
  }
}

export const noisy: Perturbation = { seed: 0x1234_5678_9abc_def0n, size: 2 ** -11, noise: "normal" };

export function entriesOf(seed: number, count: number): LogEntry[] {
  const draw = new Draw(seed);
  return Array.from({ length: count }, (_, k) => ({
    seed: (BigInt(draw.below(2 ** 32)) << 32n) + BigInt(k),
    scalar: toBfloat16((draw.unit() - 0.5) * 1e-3),
    ...(draw.below(3) === 0 && { decay: Math.fround(1 - draw.unit() * 1e-3) }),
  }));
}

export interface BlockShape {
  readonly seed: number;
  readonly lengths: readonly number[];
  readonly keyValueHeads: number;
  /** Heads to each key head. */
  readonly group: number;
  /** Pairs of columns of a head. */
  readonly pairs: number;
  readonly hidden: number;
  readonly vocab: number;
  readonly dtype: WeightDtype;
  readonly gated: boolean;
  readonly rms: boolean;
  readonly rotary: boolean;
  /** Norms after the residual sums, as in OPT-350m: the feed-forward layer reads what its output is added to. */
  readonly postNorm: boolean;
  readonly inOut: boolean;
  readonly tied: boolean;
  /** Every third weight is frozen. */
  readonly frozen: boolean;
  readonly window: number;
  readonly softcap: number;
  /** Keys and values before those of every sequence. */
  readonly prefix: number;
  /** How often the sequences follow one another, with the same tokens and losses each time; once when left out. */
  readonly repeats?: number;
}

export function blockOf(shape: BlockShape): Computation {
  const draw = new Draw(shape.seed);
  const size = 2 * shape.pairs;
  const heads = shape.keyValueHeads * shape.group;
  const [columns, keys] = [heads * size, shape.keyValueHeads * size];
  const { lengths: once, repeats = 1 } = shape;
  const rows = once.reduce((sum, length) => sum + length, 0);
  const lengths = Array.from({ length: repeats }, () => once).flat();
  const repeated = (values: Int32Array, step = 0) =>
    Int32Array.from({ length: repeats * values.length }, (_, i) => {
      return (values[i % values.length] ?? 0) + step * Math.floor(i / values.length);
    });
  const matrix = (inputs: number, outputs: number) => (shape.inOut ? [inputs, outputs] : [outputs, inputs]);
  const shapes: Readonly<Record<string, readonly number[]>> = {
    table: [shape.vocab, columns],
    positions: [Math.max(...once), columns],
    head: [shape.vocab, columns],
    q: matrix(columns, columns),
    k: matrix(columns, keys),
    v: matrix(columns, keys),
    o: matrix(columns, columns),
    gate: matrix(columns, shape.hidden),
    up: matrix(columns, shape.hidden),
    down: matrix(shape.hidden, columns),
    qBias: [columns],
    upBias: [shape.hidden],
    downBias: [columns],
    norm1: [columns],
    norm2: [columns],
    norm3: [columns],
    shift: [columns],
    ...(shape.prefix > 0 && { prefix: [shape.prefix, 2 * keys] }),
  };
  const weights = Object.entries(shapes).map(([name, extent], index) => {
    const [first = 1, second = 1] = extent;
    const scale = extent.length === 1 ? 0.5 : 1.5 / Math.sqrt(Math.min(first, second));
    const trainable = !(shape.frozen && index % 3 === 0);
    return {
      name,
      shape: extent,
      dtype: shape.dtype,
      trainable,
      bytes: draw.bytes(elementCount(extent), shape.dtype, scale),
    };
  });
  const ids = repeated(draw.indices(rows, shape.vocab));
  const places = Int32Array.from(lengths.flatMap((length) => Array.from({ length }, (_, at) => at)));
  const scored = Int32Array.from({ length: rows }, (_, row) => row).filter(
    (row) => row === rows - 1 || draw.below(3) === 0,
  );
  const kept = repeated(scored, rows);
  const targets = repeated(draw.indices(scored.length, shape.vocab));
  const frequencies = Float64Array.from({ length: shape.pairs }, (_, i) => 10 ** -i);
  const attention: AttentionShape = {
    heads,
    keyValueHeads: shape.keyValueHeads,
    lengths,
    causal: true,
    scale: size ** -0.5,
    ...(shape.window > 0 && { window: shape.window }),
    ...(shape.softcap > 0 && { softcap: shape.softcap }),
  };

  const forward = (pass: Pass, find: Lookup): Activation => {
    const norm = (x: Activation, name: string) =>
      shape.rms ? pass.rmsNorm(x, find(name), 1e-5, 1) : pass.layerNorm(x, find(name), find("shift"), 1e-5);
    const linear = (x: Activation, name: string, bias: string | null = null) =>
      pass.linear(x, find(name), bias === null ? null : find(bias), shape.inOut ? "in-out" : "out-in");
    const turn = (x: Activation) =>
      shape.rotary ? pass.rotate(x, { headSize: size, positions: places, frequencies, pairing: "half", scale: 1 }) : x;
    const feed = (x: Activation) => {
      const up = linear(x, "up", "upBias");
      if (!shape.gated) return linear(pass.activate(up, "gelu_tanh"), "down", "downBias");
      return linear(pass.multiply(pass.activate(linear(x, "gate"), "silu"), up), "down");
    };
    const x = pass.add(pass.embed(find("table"), ids), pass.embed(find("positions"), places));
    const before =
      shape.prefix > 0
        ? pass.embed(
            find("prefix"),
            Int32Array.from({ length: shape.prefix }, (_, i) => i),
          )
        : null;
    const prefix = before && { keys: pass.slice(before, 0, keys), values: pass.slice(before, keys, keys) };
    const normed = shape.postNorm ? x : norm(x, "norm1");
    // In the order that families have, which the native device knows.
    const [q, k, v] = [linear(normed, "q", "qBias"), linear(normed, "k"), linear(normed, "v")];
    const attended = pass.gather(
      pass.attention(turn(q), turn(k), v, { ...attention, ...(prefix && { prefix }) }),
      kept,
    );
    let y = pass.add(pass.gather(x, kept), linear(attended, "o"));
    if (shape.postNorm) y = norm(y, "norm2");
    const z = pass.add(y, feed(shape.postNorm ? y : norm(y, "norm2")));
    // The same weight a second time in one pass.
    return norm(pass.add(z, linear(linear(z, "q"), "q")), "norm3");
  };
  return { weights, forward, head: shape.tied ? "table" : "head", headOptions: () => ({ softcap: 20 }), targets };
}
