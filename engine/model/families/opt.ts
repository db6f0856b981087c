/**
 * OPT (Zhang et al. 2022), as transformers' OPTForCausalLM computes it: learned positions with an offset of 2, layer norm
 * before each block (after it in the 350m model, which also projects its embeddings), tied head.
 */
import { z } from "zod";
import type { Activation, Pass, Weight } from "../../devices/device.ts";
import {
  activationNamed,
  commonConfig,
  endOfSequence,
  headSizeOf,
  layerCount,
  parseConfig,
  positionCount,
  size,
} from "./config.ts";
import { eachLayer, layerNorm, linear, matrix } from "./definitions.ts";
import type { Architecture, Family, PackedTokens, TensorDefinition, WeightLookup } from "./family.ts";
import { positionsOf, sequencesOf } from "./family.ts";

const configSchema = z.object({
  ...commonConfig,
  vocab_size: size.default(50_272),
  num_hidden_layers: layerCount.default(12),
  num_attention_heads: size.default(12),
  hidden_size: size.default(768),
  ffn_dim: size.default(3072),
  max_position_embeddings: positionCount.default(2048),
  word_embed_proj_dim: size.nullish(),
  activation_function: z.string().default("relu"),
  do_layer_norm_before: z.boolean().default(true),
  _remove_final_layer_norm: z.boolean().default(false),
  enable_bias: z.boolean().default(true),
  layer_norm_elementwise_affine: z.boolean().default(true),
  init_std: z.number().positive().default(0.02),
});

type Config = z.output<typeof configSchema>;

/** Rows of the position table before position 0 (OPTLearnedPositionalEmbedding). */
const positionOffset = 2;
const normEpsilon = 1e-5;

export const opt: Family = {
  modelType: "opt",
  configure(value) {
    const config = parseConfig(configSchema, value);
    headSizeOf(config);
    activationNamed("activation_function", config.activation_function);
    return architecture(config, config.tie_word_embeddings ?? true);
  },
};

function architecture(config: Config, tied: boolean): Architecture {
  return {
    family: "opt",
    kind: "causal",
    layers: config.num_hidden_layers,
    keyValueHeads: config.num_attention_heads,
    headSize: headSizeOf(config),
    contextLength: config.max_position_embeddings,
    vocabulary: config.vocab_size,
    endOfSequence: endOfSequence(config.eos_token_id),
    padding: null,
    cacheLimit: null,
    tensors: definitions(config, tied),
    storedNames: (name) => (name.startsWith("model.") ? [name, name.slice("model.".length)] : [name]),
    ignores: () => false,
    ties: tied ? [{ head: headWeight, shared: embedTokens }] : [],
    untie: () => architecture(config, false),
    initStd: config.init_std,
    head: { weight: tied ? embedTokens : headWeight },
    forward: (pass, weights, tokens, positions) => forward(config, pass, weights, tokens, positions),
  };
}

const decoder = "model.decoder";
const headWeight = "lm_head.weight";
const embedTokens = `${decoder}.embed_tokens.weight`;

function definitions(config: Config, tied: boolean): TensorDefinition[] {
  const hidden = config.hidden_size;
  const embedding = embeddingSize(config);
  const dense = (name: string, outputs: number, inputs: number) => linear(name, outputs, inputs, config.enable_bias);
  const norm = (name: string) => (config.layer_norm_elementwise_affine ? layerNorm(name, hidden) : []);
  return [
    matrix(embedTokens, config.vocab_size, embedding),
    matrix(`${decoder}.embed_positions.weight`, config.max_position_embeddings + positionOffset, hidden),
    ...(tied ? [] : [matrix(headWeight, config.vocab_size, embedding)]),
    ...(embedding === hidden
      ? []
      : [
          ...linear(`${decoder}.project_in`, hidden, embedding, false),
          ...linear(`${decoder}.project_out`, embedding, hidden, false),
        ]),
    ...eachLayer(config.num_hidden_layers, (index) => [
      ...attentionNames.flatMap((name) => dense(`${layerName(index)}.self_attn.${name}`, hidden, hidden)),
      ...norm(`${layerName(index)}.self_attn_layer_norm`),
      ...dense(`${layerName(index)}.fc1`, config.ffn_dim, hidden),
      ...dense(`${layerName(index)}.fc2`, hidden, config.ffn_dim),
      ...norm(`${layerName(index)}.final_layer_norm`),
    ]),
    ...(hasFinalNorm(config) ? norm(`${decoder}.final_layer_norm`) : []),
  ];
}

const attentionNames = ["q_proj", "k_proj", "v_proj", "out_proj"];

function embeddingSize(config: Config): number {
  return config.word_embed_proj_dim ?? config.hidden_size;
}

function hasFinalNorm(config: Config): boolean {
  return config.do_layer_norm_before && !config._remove_final_layer_norm;
}

function layerName(index: number): string {
  return `${decoder}.layers.${index}`;
}

function forward(
  config: Config,
  pass: Pass,
  weights: WeightLookup,
  tokens: PackedTokens,
  positions: Int32Array,
): Activation {
  const block = new Block(config, pass, weights, tokens);
  const last = config.num_hidden_layers - 1;
  const projected = embeddingSize(config) !== config.hidden_size;

  let x = pass.embed(weights(embedTokens), tokens.ids);
  if (projected) x = pass.linear(x, weights(`${decoder}.project_in.weight`), null);
  const positionRows = positionsOf(tokens).map((position) => position + positionOffset);
  x = pass.add(x, pass.embed(weights(`${decoder}.embed_positions.weight`), positionRows));
  for (let index = 0; index <= last; index++) x = block.run(index, x, index === last ? positions : null);
  if (hasFinalNorm(config)) x = block.norm(`${decoder}.final_layer_norm`, x);
  return projected ? pass.linear(x, weights(`${decoder}.project_out.weight`), null) : x;
}

class Block {
  readonly #config: Config;
  readonly #pass: Pass;
  readonly #weights: WeightLookup;
  readonly #tokens: PackedTokens;

  constructor(config: Config, pass: Pass, weights: WeightLookup, tokens: PackedTokens) {
    this.#config = config;
    this.#pass = pass;
    this.#weights = weights;
    this.#tokens = tokens;
  }

  /** One layer. After attention it computes row by row, so the last layer continues with the wanted rows, `keep`, alone. */
  run(index: number, x: Activation, keep: Int32Array | null): Activation {
    const before = this.#config.do_layer_norm_before;
    const layer = layerName(index);
    const attended = this.#attend(index, before ? this.norm(`${layer}.self_attn_layer_norm`, x) : x);
    const kept = (rows: Activation) => (keep ? this.#pass.gather(rows, keep) : rows);
    let y = this.#pass.add(kept(x), this.#linear(`${layer}.self_attn.out_proj`, kept(attended)));
    if (!before) y = this.norm(`${layer}.self_attn_layer_norm`, y);
    const z = this.#pass.add(y, this.#feedForward(layer, before ? this.norm(`${layer}.final_layer_norm`, y) : y));
    return before ? z : this.norm(`${layer}.final_layer_norm`, z);
  }

  norm(name: string, x: Activation): Activation {
    if (!this.#config.layer_norm_elementwise_affine) return this.#pass.layerNorm(x, null, null, normEpsilon);
    return this.#pass.layerNorm(x, this.#weights(`${name}.weight`), this.#weights(`${name}.bias`), normEpsilon);
  }

  #attend(index: number, x: Activation): Activation {
    const heads = this.#config.num_attention_heads;
    const project = (name: string) => this.#linear(`${layerName(index)}.self_attn.${name}`, x);
    const [q, k, v] = [project("q_proj"), project("k_proj"), project("v_proj")];
    const scale = 1 / Math.sqrt(headSizeOf(this.#config));
    const sequences = sequencesOf(this.#tokens, index);
    return this.#pass.attention(q, k, v, { ...sequences, heads, keyValueHeads: heads, causal: true, scale });
  }

  #feedForward(layer: string, x: Activation): Activation {
    const kind = activationNamed("activation_function", this.#config.activation_function);
    return this.#linear(`${layer}.fc2`, this.#pass.activate(this.#linear(`${layer}.fc1`, x), kind));
  }

  #linear(name: string, x: Activation): Activation {
    const bias: Weight | null = this.#config.enable_bias ? this.#weights(`${name}.bias`) : null;
    return this.#pass.linear(x, this.#weights(`${name}.weight`), bias);
  }
}
