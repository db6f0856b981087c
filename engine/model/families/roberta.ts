/**
 * RoBERTa (Liu et al. 2019), as transformers' RobertaForMaskedLM computes it: attention over all tokens, layer norm after
 * each block, positions numbered from the padding id + 1, and a head with a dense layer before the tied embedding table.
 * All tokens have type 0.
 */
import { z } from "zod";
import type { Activation, Pass } from "../../devices/device.ts";
import {
  activationNamed,
  commonConfig,
  headSizeOf,
  invalidField,
  layerCount,
  parseConfig,
  positionCount,
  refuseFlag,
  size,
  unsupportedField,
} from "./config.ts";
import { biasVector, eachLayer, layerNorm, linear, matrix } from "./definitions.ts";
import type { Architecture, Family, PackedTokens, TensorDefinition, WeightLookup } from "./family.ts";

const configSchema = z.object({
  ...commonConfig,
  vocab_size: size.default(50_265),
  num_hidden_layers: layerCount.default(12),
  num_attention_heads: size.default(12),
  hidden_size: size.default(768),
  intermediate_size: size.default(3072),
  max_position_embeddings: positionCount.default(512),
  type_vocab_size: size.default(2),
  pad_token_id: z.int().min(0).default(1),
  hidden_act: z.string().default("gelu"),
  layer_norm_eps: z.number().positive().default(1e-12),
  initializer_range: z.number().positive().default(0.02),
  position_embedding_type: z.string().default("absolute"),
  is_decoder: z.unknown().optional(),
  add_cross_attention: z.unknown().optional(),
});

type Config = z.output<typeof configSchema>;

export const roberta: Family = {
  modelType: "roberta",
  configure(value) {
    const config = parseConfig(configSchema, value);
    headSizeOf(config);
    activationNamed("hidden_act", config.hidden_act);
    refuseFlag("is_decoder", config.is_decoder);
    refuseFlag("add_cross_attention", config.add_cross_attention);
    if (config.position_embedding_type !== "absolute") {
      throw unsupportedField("position_embedding_type", config.position_embedding_type, ["absolute"]);
    }
    if (config.tie_word_embeddings === false) throw unsupportedField("tie_word_embeddings", false, ["true"]);
    if (contextLength(config) < 1) {
      throw invalidField("max_position_embeddings", `max_position_embeddings leaves no positions after pad_token_id`);
    }
    return architecture(config, new Set());
  },
};

/** The first position comes after the padding id. */
function contextLength(config: Config): number {
  return config.max_position_embeddings - config.pad_token_id - 1;
}

/** `own` has the weights of the head that are not those of the model. */
function architecture(config: Config, own: ReadonlySet<string>): Architecture {
  return {
    family: "roberta",
    kind: "masked",
    layers: config.num_hidden_layers,
    keyValueHeads: config.num_attention_heads,
    headSize: headSizeOf(config),
    contextLength: contextLength(config),
    vocabulary: config.vocab_size,
    endOfSequence: [],
    padding: config.pad_token_id,
    cacheLimit: null,
    tensors: definitions(config, own),
    storedNames: (name) => [name],
    // A head with a bias of its own does not read the one that it would share.
    ignores: (name) => ignored.test(name) || (own.has(headBias) && name === sharedBias),
    ties: ties.filter(({ head }) => !own.has(head)),
    untie: (heads) => architecture(config, new Set([...own, ...heads])),
    initStd: config.initializer_range,
    head: {
      weight: own.has(headWeight) ? headWeight : wordTable,
      bias: own.has(headBias) ? headBias : sharedBias,
    },
    forward: (pass, weights, tokens, positions) => forward(config, pass, weights, tokens, positions),
  };
}

/** The pooler, which this head does not use, and a buffer. */
const ignored = /^roberta\.pooler\.|\.position_ids$/u;

const embeddings = "roberta.embeddings";
const wordTable = `${embeddings}.word_embeddings.weight`;
const headWeight = "lm_head.decoder.weight";
const headBias = "lm_head.decoder.bias";
const sharedBias = "lm_head.bias";
const ties = [
  { head: headWeight, shared: wordTable },
  { head: headBias, shared: sharedBias },
];

function layerName(index: number): string {
  return `roberta.encoder.layer.${index}`;
}

function definitions(config: Config, own: ReadonlySet<string>): TensorDefinition[] {
  const hidden = config.hidden_size;
  const inner = config.intermediate_size;
  const norm = (name: string) => layerNorm(`${name}.LayerNorm`, hidden);
  const dense = (name: string, outputs: number, inputs: number) => linear(name, outputs, inputs, true);
  return [
    matrix(wordTable, config.vocab_size, hidden),
    matrix(`${embeddings}.position_embeddings.weight`, config.max_position_embeddings, hidden),
    matrix(`${embeddings}.token_type_embeddings.weight`, config.type_vocab_size, hidden),
    ...norm(embeddings),
    ...eachLayer(config.num_hidden_layers, (index) => [
      ...["query", "key", "value"].flatMap((part) =>
        dense(`${layerName(index)}.attention.self.${part}`, hidden, hidden),
      ),
      ...dense(`${layerName(index)}.attention.output.dense`, hidden, hidden),
      ...norm(`${layerName(index)}.attention.output`),
      ...dense(`${layerName(index)}.intermediate.dense`, inner, hidden),
      ...dense(`${layerName(index)}.output.dense`, hidden, inner),
      ...norm(`${layerName(index)}.output`),
    ]),
    ...dense("lm_head.dense", hidden, hidden),
    ...layerNorm("lm_head.layer_norm", hidden),
    biasVector(own.has(headBias) ? headBias : sharedBias, config.vocab_size),
    ...(own.has(headWeight) ? [matrix(headWeight, config.vocab_size, hidden)] : []),
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
    pass.layerNorm(x, weights(`${name}.weight`), weights(`${name}.bias`), config.layer_norm_eps);
  const dense = (name: string, x: Activation) => pass.linear(x, weights(`${name}.weight`), weights(`${name}.bias`));
  const embed = (name: string, ids: Int32Array) => pass.embed(weights(`${embeddings}.${name}.weight`), ids);
  const kind = activationNamed("hidden_act", config.hidden_act);
  const heads = config.num_attention_heads;
  const attention = { heads, keyValueHeads: heads, causal: false, scale: 1 / Math.sqrt(headSizeOf(config)) };
  const last = config.num_hidden_layers - 1;

  const words = pass.add(
    embed("word_embeddings", tokens.ids),
    embed(
      "token_type_embeddings",
      tokens.ids.map(() => 0),
    ),
  );
  let x = norm(`${embeddings}.LayerNorm`, pass.add(words, embed("position_embeddings", positionRows(config, tokens))));
  for (let index = 0; index <= last; index++) {
    const name = layerName(index);
    const [q, k, v] = [
      dense(`${name}.attention.self.query`, x),
      dense(`${name}.attention.self.key`, x),
      dense(`${name}.attention.self.value`, x),
    ];
    // After attention a layer computes row by row, so the last one continues with the wanted rows alone.
    const kept = (rows: Activation) => (index === last ? pass.gather(rows, positions) : rows);
    const attended = kept(pass.attention(q, k, v, { ...attention, lengths: tokens.lengths }));
    const added = pass.add(kept(x), dense(`${name}.attention.output.dense`, attended));
    const y = norm(`${name}.attention.output.LayerNorm`, added);
    const inner = pass.activate(dense(`${name}.intermediate.dense`, y), kind);
    x = norm(`${name}.output.LayerNorm`, pass.add(y, dense(`${name}.output.dense`, inner)));
  }
  return norm("lm_head.layer_norm", pass.activate(dense("lm_head.dense", x), "gelu"));
}

/**
 * The row of each token in the position table. Padding has the row of its id; other tokens are numbered from the next row on,
 * after the earlier tokens of their sequence.
 */
function positionRows({ pad_token_id: padding }: Config, { ids, lengths, past }: PackedTokens): Int32Array {
  const out = new Int32Array(ids.length);
  let at = 0;
  for (const [sequence, length] of lengths.entries()) {
    let count = past?.[sequence] ?? 0;
    for (const end = at + length; at < end; at++) out[at] = ids[at] === padding ? padding : padding + ++count;
  }
  return out;
}
