/**
 * The decoder of Llama (Touvron et al. 2023), which most later families vary: RMS norm before attention and before a gated MLP,
 * rotary positions, grouped key and value heads. A family's file lists its differences; this file computes them.
 */
import { z } from "zod";
import type { Activation, ActivationFunction, Pass, RotaryShape, Weight } from "../../devices/device.ts";
import {
  activationNamed,
  commonConfig,
  endOfSequence,
  headSizeOf,
  invalidField,
  layerCount,
  parseConfig,
  positionCount,
  size,
  unsupportedField,
} from "./config.ts";
import { eachLayer, linear, matrix, rmsNorm } from "./definitions.ts";
import type { Architecture, PackedTokens, TensorDefinition, WeightLookup } from "./family.ts";
import { longestOf, positionsOf, sequencesOf } from "./family.ts";
import type { Rotary } from "./rope.ts";
import { readRotary, rotaryConfig } from "./rope.ts";
import { counted } from "../../../schema/units.ts";

export interface Layer {
  readonly rotary: Rotary;
  /** Sliding window of its attention, or null. */
  readonly window: number | null;
}

/** A family's variant of the decoder, with its sizes. */
export interface Decoder {
  readonly family: string;
  readonly vocabulary: number;
  readonly contextLength: number;
  readonly endOfSequence: readonly number[];
  readonly initStd: number;
  readonly hidden: number;
  readonly intermediate: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headSize: number;
  readonly layers: readonly Layer[];
  readonly activation: ActivationFunction;
  readonly epsilon: number;
  /** The head uses the embedding table. */
  readonly tied: boolean;
  /** Which projections have a bias: q, k and v; the output of attention; those of the MLP. */
  readonly biases: { readonly qkv: boolean; readonly out: boolean; readonly mlp: boolean };
  /** q, k and v are stored as one matrix, and so are gate and up (Phi-3). */
  readonly fused: boolean;
  /** RMS norm of each head of q and k before the rotation (Qwen3, Gemma 3). */
  readonly headNorms: boolean;
  /** RMS norms also after attention and after the MLP (Gemma 2 and 3). */
  readonly postNorms: boolean;
  /** Added to the stored weights of the norms, which Gemma stores minus 1. */
  readonly normOffset: 0 | 1;
  readonly embeddingScale: number;
  /** Attention scores are multiplied by it. */
  readonly queryScale: number;
  /** Soft cap of the attention scores (Gemma 2), or null. */
  readonly softcap: number | null;
  readonly headSoftcap: number | null;
}

/** The sizes that a family's class has by default. */
interface DefaultSizes {
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly max_position_embeddings: number;
}

/** Config fields with the same meaning in all these families. */
export function decoderConfig(defaults: DefaultSizes) {
  return {
    ...commonConfig,
    ...rotaryConfig,
    max_position_embeddings: positionCount.default(defaults.max_position_embeddings),
    vocab_size: size.default(defaults.vocab_size),
    num_hidden_layers: layerCount.default(defaults.num_hidden_layers),
    num_attention_heads: size.default(defaults.num_attention_heads),
    hidden_size: size.default(defaults.hidden_size),
    intermediate_size: size.default(defaults.intermediate_size),
    num_key_value_heads: size.nullish(),
    head_dim: size.nullish(),
    hidden_act: z.string().default("silu"),
    rms_norm_eps: z.number().positive().default(1e-6),
    initializer_range: z.number().positive().default(0.02),
  };
}

export type DecoderConfig = z.output<z.ZodObject<ReturnType<typeof decoderConfig>>>;

/** Llama, the starting point of the other families. All layers are alike. */
export function plainDecoder(family: string, config: DecoderConfig, options?: { partialRotary: true }): Decoder {
  if (!options?.partialRotary) refusePartialRotary(config);
  const headSize = config.head_dim ?? headSizeOf(config);
  const heads = config.num_attention_heads;
  const keyValueHeads = config.num_key_value_heads ?? heads;
  if (heads % keyValueHeads !== 0) {
    throw invalidField("num_key_value_heads", `num_key_value_heads ${keyValueHeads} does not divide ${heads} heads`);
  }
  const layer = { rotary: readRotary(config, headSize), window: null };
  return {
    family,
    vocabulary: config.vocab_size,
    contextLength: config.max_position_embeddings,
    endOfSequence: endOfSequence(config.eos_token_id),
    initStd: config.initializer_range,
    hidden: config.hidden_size,
    intermediate: config.intermediate_size,
    heads,
    keyValueHeads,
    headSize,
    layers: Array.from({ length: config.num_hidden_layers }, () => layer),
    activation: activationNamed("hidden_act", config.hidden_act),
    epsilon: config.rms_norm_eps,
    tied: config.tie_word_embeddings ?? false,
    biases: { qkv: false, out: false, mlp: false },
    fused: false,
    headNorms: false,
    postNorms: false,
    normOffset: 0,
    embeddingScale: 1,
    queryScale: 1 / Math.sqrt(headSize),
    softcap: null,
    headSoftcap: null,
  };
}

/** Only some families rotate part of a head. In the others, transformers applies the factor to some rope types only. */
function refusePartialRotary(config: DecoderConfig): void {
  const inner = (config.rope_scaling ?? config.rope_parameters)?.["partial_rotary_factor"];
  const part = inner ?? config.partial_rotary_factor ?? 1;
  if (part !== 1) throw unsupportedField("partial_rotary_factor", part, ["1"]);
}

/** Kinds of attention of a layer, by their names in transformers (layer_types). */
export type LayerType = "full_attention" | "sliding_attention";

const layerTypeNames: readonly LayerType[] = ["full_attention", "sliding_attention"];

/** The type of each layer: as `named` in the config, or by the family's rule. @throws MODEL_INVALID, MODEL_UNSUPPORTED */
export function layerTypes(named: unknown, count: number, rule: (index: number) => LayerType): LayerType[] {
  if (named === undefined || named === null) return Array.from({ length: count }, (_, index) => rule(index));
  const { layer_types: names } = parseConfig(
    z.object({ layer_types: z.array(z.string()).length(count, `must name ${counted(count, "layer")}`) }),
    { layer_types: named },
  );
  return names.map((name) => {
    const type = layerTypeNames.find((known) => known === name);
    if (type) return type;
    throw unsupportedField("layer_types", name, layerTypeNames);
  });
}

export function decoder(shape: Decoder): Architecture {
  const limits = shape.layers.flatMap(({ rotary }) => rotary.changesAfter ?? []);
  return {
    family: shape.family,
    kind: "causal",
    layers: shape.layers.length,
    keyValueHeads: shape.keyValueHeads,
    headSize: shape.headSize,
    contextLength: shape.contextLength,
    vocabulary: shape.vocabulary,
    endOfSequence: shape.endOfSequence,
    padding: null,
    cacheLimit: limits.length > 0 ? Math.min(...limits) : null,
    tensors: definitions(shape),
    storedNames: (name) => (name.startsWith("model.") ? [name, name.slice("model.".length)] : [name]),
    // Older checkpoints store the rotary frequencies, which follow from the config.
    ignores: (name) => name.endsWith(".rotary_emb.inv_freq"),
    ties: shape.tied ? [{ head: headWeight, shared: embedTokens }] : [],
    untie: () => decoder({ ...shape, tied: false }),
    initStd: shape.initStd,
    head: {
      weight: shape.tied ? embedTokens : headWeight,
      ...(shape.headSoftcap !== null && { softcap: shape.headSoftcap }),
    },
    forward: (pass, weights, tokens, positions) => forward(shape, pass, weights, tokens, positions),
  };
}

const embedTokens = "model.embed_tokens.weight";
const headWeight = "lm_head.weight";

function layerName(index: number): string {
  return `model.layers.${index}`;
}

function definitions(shape: Decoder): TensorDefinition[] {
  const { hidden, intermediate, biases } = shape;
  const norm = (name: string) => rmsNorm(name, hidden, shape.normOffset);
  const columns = shape.heads * shape.headSize;
  const keyColumns = shape.keyValueHeads * shape.headSize;
  const attention = (name: string) => [
    ...(shape.fused
      ? linear(`${name}.qkv_proj`, columns + 2 * keyColumns, hidden, biases.qkv)
      : [
          ...linear(`${name}.q_proj`, columns, hidden, biases.qkv),
          ...linear(`${name}.k_proj`, keyColumns, hidden, biases.qkv),
          ...linear(`${name}.v_proj`, keyColumns, hidden, biases.qkv),
        ]),
    ...linear(`${name}.o_proj`, hidden, columns, biases.out),
    ...(shape.headNorms
      ? ["q_norm", "k_norm"].map((part) => rmsNorm(`${name}.${part}`, shape.headSize, shape.normOffset))
      : []),
  ];
  const feedForward = (name: string) => [
    ...(shape.fused
      ? linear(`${name}.gate_up_proj`, 2 * intermediate, hidden, biases.mlp)
      : ["gate_proj", "up_proj"].flatMap((part) => linear(`${name}.${part}`, intermediate, hidden, biases.mlp))),
    ...linear(`${name}.down_proj`, hidden, intermediate, biases.mlp),
  ];
  const postNorms = shape.postNorms ? ["pre_feedforward_layernorm", "post_feedforward_layernorm"] : [];
  return [
    matrix(embedTokens, shape.vocabulary, hidden),
    ...eachLayer(shape.layers.length, (index) => [
      ...attention(`${layerName(index)}.self_attn`),
      ...feedForward(`${layerName(index)}.mlp`),
      ...["input_layernorm", "post_attention_layernorm", ...postNorms].map((part) =>
        norm(`${layerName(index)}.${part}`),
      ),
    ]),
    norm("model.norm"),
    ...(shape.tied ? [] : [matrix(headWeight, shape.vocabulary, hidden)]),
  ];
}

function forward(
  shape: Decoder,
  pass: Pass,
  weights: WeightLookup,
  tokens: PackedTokens,
  positions: Int32Array,
): Activation {
  const block = new Block(shape, pass, weights, tokens);
  const last = shape.layers.length - 1;
  let x = pass.embed(weights(embedTokens), tokens.ids);
  if (shape.embeddingScale !== 1) x = pass.scale(x, shape.embeddingScale);
  shape.layers.forEach((layer, index) => (x = block.run(index, layer, x, index === last ? positions : null)));
  return block.norm("model.norm", x);
}

class Block {
  readonly #shape: Decoder;
  readonly #pass: Pass;
  readonly #weights: WeightLookup;
  readonly #tokens: PackedTokens;
  readonly #positions: Int32Array;

  constructor(shape: Decoder, pass: Pass, weights: WeightLookup, tokens: PackedTokens) {
    this.#shape = shape;
    this.#pass = pass;
    this.#weights = weights;
    this.#tokens = tokens;
    this.#positions = positionsOf(tokens);
  }

  /** One layer. After attention it computes row by row, so the last layer continues with the wanted rows, `keep`, alone. */
  run(index: number, layer: Layer, x: Activation, keep: Int32Array | null): Activation {
    const name = layerName(index);
    const { postNorms } = this.#shape;
    const kept = (rows: Activation) => (keep ? this.#pass.gather(rows, keep) : rows);

    const attended = kept(this.#attend(index, layer, this.norm(`${name}.input_layernorm`, x)));
    let attention = this.#linear(`${name}.self_attn.o_proj`, attended, this.#shape.biases.out);
    if (postNorms) attention = this.norm(`${name}.post_attention_layernorm`, attention);
    const y = this.#pass.add(kept(x), attention);

    const before = postNorms ? "pre_feedforward_layernorm" : "post_attention_layernorm";
    let fed = this.#feedForward(`${name}.mlp`, this.norm(`${name}.${before}`, y));
    if (postNorms) fed = this.norm(`${name}.post_feedforward_layernorm`, fed);
    return this.#pass.add(y, fed);
  }

  norm(name: string, x: Activation): Activation {
    return this.#pass.rmsNorm(x, this.#weights(`${name}.weight`), this.#shape.epsilon, this.#shape.normOffset);
  }

  #attend(index: number, { rotary, window }: Layer, x: Activation): Activation {
    const { heads, keyValueHeads, queryScale: scale, softcap, headNorms } = this.#shape;
    const name = `${layerName(index)}.self_attn`;
    const projected = this.#project(name, x);
    const [q, k] = headNorms
      ? [this.norm(`${name}.q_norm`, projected.q), this.norm(`${name}.k_norm`, projected.k)]
      : [projected.q, projected.k];
    const turn = this.#rotaryShape(rotary);
    return this.#pass.attention(this.#pass.rotate(q, turn), this.#pass.rotate(k, turn), projected.v, {
      ...sequencesOf(this.#tokens, index),
      heads,
      keyValueHeads,
      causal: true,
      scale,
      ...(window !== null && { window }),
      ...(softcap !== null && { softcap }),
    });
  }

  #project(name: string, x: Activation): { q: Activation; k: Activation; v: Activation } {
    const { heads, keyValueHeads, headSize, biases, fused } = this.#shape;
    const linearOf = (part: string) => this.#linear(`${name}.${part}`, x, biases.qkv);
    if (!fused) return { q: linearOf("q_proj"), k: linearOf("k_proj"), v: linearOf("v_proj") };
    const [columns, keyColumns] = [heads * headSize, keyValueHeads * headSize];
    const all = linearOf("qkv_proj");
    return {
      q: this.#pass.slice(all, 0, columns),
      k: this.#pass.slice(all, columns, keyColumns),
      v: this.#pass.slice(all, columns + keyColumns, keyColumns),
    };
  }

  #rotaryShape(rotary: Rotary): RotaryShape {
    const { frequencies, scale } = rotary.at(longestOf(this.#tokens));
    return { headSize: this.#shape.headSize, positions: this.#positions, frequencies, pairing: "half", scale };
  }

  #feedForward(name: string, x: Activation): Activation {
    const { intermediate, biases, fused } = this.#shape;
    const linearOf = (part: string, of: Activation) => this.#linear(`${name}.${part}`, of, biases.mlp);
    const both = fused ? linearOf("gate_up_proj", x) : null;
    const gate = both ? this.#pass.slice(both, 0, intermediate) : linearOf("gate_proj", x);
    const up = both ? this.#pass.slice(both, intermediate, intermediate) : linearOf("up_proj", x);
    return linearOf("down_proj", this.#pass.multiply(this.#pass.activate(gate, this.#shape.activation), up));
  }

  #linear(name: string, x: Activation, biased: boolean): Activation {
    const bias: Weight | null = biased ? this.#weights(`${name}.bias`) : null;
    return this.#pass.linear(x, this.#weights(`${name}.weight`), bias);
  }
}
