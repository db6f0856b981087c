/**
 * GPT-2 (Radford et al. 2019), as transformers' GPT2LMHeadModel computes it: learned positions, layer norm before each
 * block, q, k and v in one matrix, weights stored [in, out] (Conv1D), tied head.
 */
import { z } from "zod";
import type { Activation, Pass } from "../../devices/device.ts";
import {
  activationNamed,
  commonConfig,
  endOfSequence,
  headSizeOf,
  layerCount,
  parseConfig,
  positionCount,
  refuseFlag,
  size,
} from "./config.ts";
import { eachLayer, layerNorm, linear, matrix } from "./definitions.ts";
import type { Architecture, Family, PackedTokens, TensorDefinition, WeightLookup } from "./family.ts";
import { positionsOf, sequencesOf } from "./family.ts";

const configSchema = z.object({
  ...commonConfig,
  vocab_size: size.default(50_257),
  n_embd: size.default(768),
  n_layer: layerCount.default(12),
  n_head: size.default(12),
  n_positions: positionCount.default(1024),
  n_inner: size.nullish(),
  activation_function: z.string().default("gelu_new"),
  layer_norm_epsilon: z.number().positive().default(1e-5),
  initializer_range: z.number().positive().default(0.02),
  scale_attn_weights: z.boolean().default(true),
  scale_attn_by_inverse_layer_idx: z.boolean().default(false),
  add_cross_attention: z.unknown().optional(),
});

type Config = z.output<typeof configSchema>;

export const gpt2: Family = {
  modelType: "gpt2",
  configure(value) {
    const config = parseConfig(configSchema, withoutAliases(value));
    refuseFlag("add_cross_attention", config.add_cross_attention);
    activationNamed("activation_function", config.activation_function);
    headSizeIn(config);
    return architecture(config, config.tie_word_embeddings ?? true);
  },
};

/** Other families' names, under which a config may have the sizes (attribute_map of transformers' GPT2Config). */
const aliases: Readonly<Record<string, string>> = {
  hidden_size: "n_embd",
  num_hidden_layers: "n_layer",
  num_attention_heads: "n_head",
  max_position_embeddings: "n_positions",
};

function withoutAliases(config: object): object {
  return Object.fromEntries(
    Object.entries(config)
      .toSorted(aliasesLast)
      .map(([field, value]) => [aliases[field] ?? field, value]),
  );
}

/** If a config has both names, the alias counts, as in transformers. */
function aliasesLast([one]: [string, unknown], [other]: [string, unknown]): number {
  return Number(one in aliases) - Number(other in aliases);
}

function headSizeIn({ n_embd, n_head }: Config): number {
  return headSizeOf({ hidden_size: n_embd, num_attention_heads: n_head }, ["n_embd", "n_head"]);
}

function architecture(config: Config, tied: boolean): Architecture {
  return {
    family: "gpt2",
    kind: "causal",
    layers: config.n_layer,
    keyValueHeads: config.n_head,
    headSize: headSizeIn(config),
    contextLength: config.n_positions,
    vocabulary: config.vocab_size,
    endOfSequence: endOfSequence(config.eos_token_id),
    padding: null,
    cacheLimit: null,
    tensors: definitions(config, tied),
    storedNames: (name) => (name.startsWith(prefix) ? [name, name.slice(prefix.length)] : [name]),
    // The first checkpoints store the causal mask.
    ignores: (name) => /\.attn\.(?:masked_)?bias$/u.test(name),
    ties: tied ? [{ head: headWeight, shared: tokenTable }] : [],
    untie: () => architecture(config, false),
    initStd: config.initializer_range,
    head: { weight: tied ? tokenTable : headWeight },
    forward: (pass, weights, tokens, positions) => forward(config, pass, weights, tokens, positions),
  };
}

const prefix = "transformer.";
const tokenTable = `${prefix}wte.weight`;
const headWeight = "lm_head.weight";
const positionTable = `${prefix}wpe.weight`;

function layerName(index: number): string {
  return `${prefix}h.${index}`;
}

function definitions(config: Config, tied: boolean): TensorDefinition[] {
  const hidden = config.n_embd;
  const inner = config.n_inner ?? 4 * hidden;
  const norm = (name: string) => layerNorm(name, hidden);
  const conv = (name: string, inputs: number, outputs: number) => linear(name, outputs, inputs, true, "in-out");
  return [
    matrix(tokenTable, config.vocab_size, hidden),
    matrix(positionTable, config.n_positions, hidden),
    ...eachLayer(config.n_layer, (index) => [
      ...norm(`${layerName(index)}.ln_1`),
      ...conv(`${layerName(index)}.attn.c_attn`, hidden, 3 * hidden),
      ...conv(`${layerName(index)}.attn.c_proj`, hidden, hidden),
      ...norm(`${layerName(index)}.ln_2`),
      ...conv(`${layerName(index)}.mlp.c_fc`, hidden, inner),
      ...conv(`${layerName(index)}.mlp.c_proj`, inner, hidden),
    ]),
    ...norm(`${prefix}ln_f`),
    ...(tied ? [] : [matrix(headWeight, config.vocab_size, hidden)]),
  ];
}

function forward(
  config: Config,
  pass: Pass,
  weights: WeightLookup,
  tokens: PackedTokens,
  positions: Int32Array,
): Activation {
  const norm = (name: string, x: Activation) =>
    pass.layerNorm(x, weights(`${name}.weight`), weights(`${name}.bias`), config.layer_norm_epsilon);
  const conv = (name: string, x: Activation) =>
    pass.linear(x, weights(`${name}.weight`), weights(`${name}.bias`), "in-out");
  const kind = activationNamed("activation_function", config.activation_function);
  const last = config.n_layer - 1;

  let x = pass.add(
    pass.embed(weights(tokenTable), tokens.ids),
    pass.embed(weights(positionTable), positionsOf(tokens)),
  );
  for (let index = 0; index <= last; index++) {
    const name = layerName(index);
    // After attention a layer computes row by row, so the last one continues with the wanted rows alone.
    const kept = (rows: Activation) => (index === last ? pass.gather(rows, positions) : rows);
    const attended = kept(attend(config, pass, tokens, index, conv(`${name}.attn.c_attn`, norm(`${name}.ln_1`, x))));
    const y = pass.add(kept(x), conv(`${name}.attn.c_proj`, attended));
    const inner = pass.activate(conv(`${name}.mlp.c_fc`, norm(`${name}.ln_2`, y)), kind);
    x = pass.add(y, conv(`${name}.mlp.c_proj`, inner));
  }
  return norm(`${prefix}ln_f`, x);
}

/** Attention of one layer; qkv [tokens, 3 * hidden]. */
function attend(config: Config, pass: Pass, tokens: PackedTokens, index: number, qkv: Activation): Activation {
  const { n_embd: hidden, n_head: heads } = config;
  const [q, k, v] = [pass.slice(qkv, 0, hidden), pass.slice(qkv, hidden, hidden), pass.slice(qkv, 2 * hidden, hidden)];
  const bySize = config.scale_attn_weights ? 1 / Math.sqrt(headSizeIn(config)) : 1;
  const byLayer = config.scale_attn_by_inverse_layer_idx ? 1 / (index + 1) : 1;
  const sequences = sequencesOf(tokens, index);
  return pass.attention(q, k, v, { ...sequences, heads, keyValueHeads: heads, causal: true, scale: bySize * byLayer });
}
