/**
 * Gemma 2 (Gemma Team 2024) and the text model of Gemma 3 (Gemma Team 2025), as transformers' classes compute them:
 * Llama with scaled embeddings, norms before and after each part, norm weights stored minus 1, and layers with a sliding
 * window. Gemma 2 caps its scores; Gemma 3 normalises its heads instead, and windowed layers have higher rotary frequencies.
 */
import { z } from "zod";
import { activationNamed, parseConfig, refuseFlag, size } from "./config.ts";
import type { Decoder, DecoderConfig, LayerType } from "./decoder.ts";
import { decoder, decoderConfig, layerTypes, plainDecoder } from "./decoder.ts";
import type { Family } from "./family.ts";
import type { Rotary } from "./rope.ts";
import { rotaryFrom } from "./rope.ts";

const sizes = {
  hidden_size: 2304,
  intermediate_size: 9216,
  num_hidden_layers: 26,
  num_attention_heads: 8,
};

const gemmaFields = {
  num_key_value_heads: size.default(4),
  head_dim: size.default(256),
  hidden_activation: z.string().nullish(),
  query_pre_attn_scalar: z.number().positive().default(256),
  sliding_window: size.nullable().default(4096),
  layer_types: z.unknown().optional(),
  attention_bias: z.boolean().default(false),
  use_bidirectional_attention: z.unknown().optional(),
};

const gemma2Schema = z.object({
  ...decoderConfig({ ...sizes, vocab_size: 256_000, max_position_embeddings: 8192 }),
  ...gemmaFields,
  attn_logit_softcapping: z.number().positive().nullable().default(50),
  final_logit_softcapping: z.number().positive().nullable().default(30),
});

const gemma3Schema = z.object({
  ...decoderConfig({ ...sizes, vocab_size: 262_208, max_position_embeddings: 131_072 }),
  ...gemmaFields,
  attn_logit_softcapping: z.unknown().optional(),
  final_logit_softcapping: z.number().positive().nullish(),
  sliding_window_pattern: z.int().positive().default(6),
  rope_local_base_freq: z.number().positive().default(10_000),
});

type GemmaConfig = DecoderConfig & z.output<z.ZodObject<typeof gemmaFields>>;

export const gemma2: Family = {
  modelType: "gemma2",
  configure(value) {
    const config = parseConfig(gemma2Schema, value);
    const gemma = gemmaDecoder("gemma2", config);
    const types = layerTypes(config.layer_types, config.num_hidden_layers, (index) =>
      index % 2 === 0 ? "sliding_attention" : "full_attention",
    );
    return decoder({
      ...gemma,
      softcap: config.attn_logit_softcapping,
      headSoftcap: config.final_logit_softcapping,
      layers: gemma.layers.map((layer, index) => ({ ...layer, window: windowOf(config, types[index]) })),
    });
  },
};

export const gemma3: Family = {
  modelType: "gemma3_text",
  configure(value) {
    const config = parseConfig(gemma3Schema, value);
    // transformers ignores this field in Gemma 3.
    refuseFlag("attn_logit_softcapping", config.attn_logit_softcapping);
    const rotary = rotaryByType(config);
    const types = layerTypes(config.layer_types, config.num_hidden_layers, (index) =>
      (index + 1) % config.sliding_window_pattern === 0 ? "full_attention" : "sliding_attention",
    );
    return decoder({
      ...gemmaDecoder("gemma3_text", { ...config, rope_scaling: null, rope_parameters: null }),
      headNorms: true,
      headSoftcap: config.final_logit_softcapping ?? null,
      layers: types.map((type) => ({ rotary: rotary[type], window: windowOf(config, type) })),
    });
  },
};

function gemmaDecoder(family: string, config: GemmaConfig): Decoder {
  refuseFlag("use_bidirectional_attention", config.use_bidirectional_attention);
  const { attention_bias: biased } = config;
  return {
    ...plainDecoder(family, config),
    tied: config.tie_word_embeddings ?? true,
    activation: activationNamed("hidden_activation", config.hidden_activation ?? "gelu_pytorch_tanh"),
    biases: { qkv: biased, out: biased, mlp: false },
    postNorms: true,
    normOffset: 1,
    // float32, like the embeddings it multiplies.
    embeddingScale: Math.fround(Math.sqrt(config.hidden_size)),
    queryScale: 1 / Math.sqrt(config.query_pre_attn_scalar),
  };
}

function windowOf(config: GemmaConfig, type: LayerType | undefined): number | null {
  return type === "sliding_attention" ? config.sliding_window : null;
}

const globalTheta = 1_000_000;

/**
 * rope_parameters has a dictionary for each type of layer. In hub checkpoints, rope_theta and rope_scaling apply to full
 * attention, and rope_local_base_freq is the theta of sliding windows.
 */
function rotaryByType(config: z.output<typeof gemma3Schema>): Readonly<Record<LayerType, Rotary>> {
  const nested = parseConfig(nestedRope, config.rope_parameters ?? {}, "rope_parameters");
  const full = { rope_theta: config.rope_theta ?? globalTheta, ...nested.full_attention, ...config.rope_scaling };
  const sliding = { rope_theta: config.rope_local_base_freq, ...nested.sliding_attention };
  const field = (type: LayerType) => (config.rope_scaling ? "rope_scaling" : `rope_parameters.${type}`);
  return {
    full_attention: rotaryFrom(field("full_attention"), full, config, config.head_dim),
    sliding_attention: rotaryFrom(field("sliding_attention"), sliding, config, config.head_dim),
  };
}

const dictionary = z.record(z.string(), z.unknown()).nullish();
const nestedRope = z.strictObject({ full_attention: dictionary, sliding_attention: dictionary });
