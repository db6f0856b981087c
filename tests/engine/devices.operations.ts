/** Every operation of a pass, in every form that a model family uses, for the conformance suite. */
import type { ActivationFunction, AttentionShape, RotaryShape } from "../../engine/devices/device.ts";
import type { Operation, Shape } from "./devices.inputs.ts";

type Heads = Omit<AttentionShape, "lengths" | "scale" | "caches" | "prefix">;

/** `before`: length of a prefix, whose keys and values lie in a table as prefix tuning's do. */
function attention(of: Heads, before = 0): Operation {
  const keyColumns = ({ columns }: Shape) => (columns / of.heads) * of.keyValueHeads;
  return {
    weights: (shape) => ({
      q: [shape.columns, shape.columns],
      k: [keyColumns(shape), shape.columns],
      v: [keyColumns(shape), shape.columns],
      ...(before > 0 && { prefix: [before, 2 * keyColumns(shape)] }),
    }),
    apply({ pass, x, weights, shape }) {
      const columns = keyColumns(shape);
      const table =
        before > 0
          ? pass.embed(
              weights("prefix"),
              Int32Array.from({ length: before }, (_, i) => i),
            )
          : null;
      const [q, k, v] = ["q", "k", "v"].map((name) => pass.linear(x, weights(name), null));
      if (!q || !k || !v) throw new Error("three projections");
      const prefix = table && { keys: pass.slice(table, 0, columns), values: pass.slice(table, columns, columns) };
      const scale = (shape.columns / of.heads) ** -0.5;
      return pass.attention(q, k, v, { ...of, lengths: shape.lengths, scale, ...(prefix && { prefix }) });
    },
  };
}

function activation(kind: ActivationFunction): Operation {
  return { apply: ({ pass, x }) => pass.activate(pass.add(pass.add(x, x), x), kind) };
}

/** Heads of four columns, of which two are turned for each frequency. */
function rotation(pairing: RotaryShape["pairing"], frequencies: readonly number[], scale = 1): Operation {
  return {
    apply({ pass, x, draw }) {
      const positions = draw.indices(x.rows, 5_000);
      return pass.rotate(x, { headSize: 4, positions, frequencies: Float64Array.from(frequencies), pairing, scale });
    },
  };
}

function rmsNorm(offset: number, groups: number): Operation {
  return {
    weights: ({ columns }) => ({ scale: [columns / groups] }),
    apply: ({ pass, x, weights }) => pass.rmsNorm(x, weights("scale"), 1e-2, offset),
  };
}

const vectors = ({ columns }: Shape) => ({ scale: [columns], shift: [columns] });
const wide = ({ columns }: Shape) => 2 * columns + 1;
const half = ({ columns }: Shape) => Math.ceil(columns / 2);

export const norm: Operation = {
  weights: vectors,
  apply: ({ pass, x, weights }) => pass.layerNorm(x, weights("scale"), weights("shift"), 1e-2),
};

export const linear: Operation = {
  weights: (shape) => ({ matrix: [wide(shape), shape.columns], bias: [wide(shape)] }),
  columns: wide,
  apply: ({ pass, x, weights }) => pass.linear(x, weights("matrix"), weights("bias")),
};

/** For rows of any length. */
export const operations: Readonly<Record<string, Operation>> = {
  embed: { apply: ({ x }) => x },
  "embed, its table tied to the head": { tied: true, apply: ({ x }) => x },
  add: {
    apply: ({ pass, x, weights, shape, draw }) =>
      pass.add(x, pass.embed(weights("table"), draw.indices(x.rows, shape.vocab))),
  },
  multiply: {
    apply: ({ pass, x, weights, shape, draw }) =>
      pass.multiply(x, pass.embed(weights("table"), draw.indices(x.rows, shape.vocab))),
  },
  scale: { apply: ({ pass, x }) => pass.scale(x, -2.5) },
  slice: {
    columns: half,
    apply: ({ pass, x, shape, draw }) => pass.slice(x, draw.below(x.columns - half(shape) + 1), half(shape)),
  },
  "layer norm": norm,
  "layer norm without weight and bias": { apply: ({ pass, x }) => pass.layerNorm(x, null, null, 1e-2) },
  "layer norm without bias": {
    weights: vectors,
    apply: ({ pass, x, weights }) => pass.layerNorm(x, weights("scale"), null, 1e-2),
  },
  "rms norm": rmsNorm(0, 1),
  "rms norm of weights stored less one": rmsNorm(1, 1),
  linear,
  "linear to one column, without bias": {
    weights: (shape) => ({ matrix: [1, shape.columns] }),
    columns: () => 1,
    apply: ({ pass, x, weights }) => pass.linear(x, weights("matrix"), null),
  },
  "linear of a weight stored [in, out]": {
    weights: (shape) => ({ matrix: [shape.columns, wide(shape)], bias: [wide(shape)] }),
    columns: wide,
    apply: ({ pass, x, weights }) => pass.linear(x, weights("matrix"), weights("bias"), "in-out"),
  },
  "linear of a weight stored [in, 1], without bias": {
    weights: (shape) => ({ matrix: [shape.columns, 1] }),
    columns: () => 1,
    apply: ({ pass, x, weights }) => pass.linear(x, weights("matrix"), null, "in-out"),
  },
  gather: { apply: ({ pass, x, draw }) => pass.gather(x, draw.indices(x.rows, x.rows)) },
  relu: activation("relu"),
  gelu: activation("gelu"),
  gelu_tanh: activation("gelu_tanh"),
  silu: activation("silu"),
  "a head with a bias": { headBias: true, apply: ({ x }) => x },
  "a head with a softcap": { headSoftcap: 0.5, apply: ({ x }) => x },
  "a tied head with a bias and a softcap": { tied: true, headBias: true, headSoftcap: 2, apply: ({ x }) => x },
};

/** For rows of whole heads: a multiple of four columns. */
export const headOperations: Readonly<Record<string, Operation>> = {
  "rms norm of each head": rmsNorm(0, 4),
  "rms norm of each head, of weights stored less one": rmsNorm(1, 2),
  "rotation of halves": rotation("half", [1, 0.01]),
  "rotation of neighbours": rotation("interleaved", [1, 0.01]),
  "rotation of the first half of a head": rotation("half", [0.3]),
  "rotation of the first two neighbours of a head": rotation("interleaved", [0.3]),
  "rotation with a factor": rotation("half", [0.7], 1.19),
  "causal attention": attention({ heads: 2, keyValueHeads: 2, causal: true }),
  "attention over all tokens": attention({ heads: 4, keyValueHeads: 4, causal: false }),
  "grouped-query attention": attention({ heads: 4, keyValueHeads: 2, causal: true }),
  "multi-query attention": attention({ heads: 4, keyValueHeads: 1, causal: false }),
  "attention in a window": attention({ heads: 2, keyValueHeads: 2, causal: true, window: 3 }),
  "attention in a window of one": attention({ heads: 4, keyValueHeads: 2, causal: true, window: 1 }),
  "attention in a window as long as the longest sequence": attention({
    heads: 2,
    keyValueHeads: 1,
    causal: true,
    window: 9,
  }),
  "causal attention behind a prefix": attention({ heads: 2, keyValueHeads: 2, causal: true }, 3),
  "grouped-query attention over all tokens, behind a long prefix": attention(
    { heads: 4, keyValueHeads: 2, causal: false },
    70,
  ),
  "attention in a window that reaches into a prefix": attention(
    { heads: 4, keyValueHeads: 1, causal: true, window: 4, softcap: 2 },
    5,
  ),
  "attention with a softcap": attention({ heads: 2, keyValueHeads: 2, causal: false, softcap: 0.5 }),
  "attention with a window and a softcap": attention({
    heads: 4,
    keyValueHeads: 2,
    causal: true,
    window: 4,
    softcap: 2,
  }),
};
