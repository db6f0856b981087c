/**
 * Qwen2 (Yang et al. 2024) and Qwen3 (Yang et al. 2025), as transformers' classes compute them: Llama with biases of q, k
 * and v (Qwen2) or a norm of each head (Qwen3). Their upper layers may have a sliding window.
 */
import { z } from "zod";
import { parseConfig, size } from "./config.ts";
import type { Layer } from "./decoder.ts";
import { decoder, decoderConfig, layerTypes, plainDecoder } from "./decoder.ts";
import type { Family } from "./family.ts";

const slidingConfig = {
  ...decoderConfig({
    vocab_size: 151_936,
    hidden_size: 4096,
    intermediate_size: 22_016,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    max_position_embeddings: 32_768,
  }),
  num_key_value_heads: size.nullable().default(32),
  use_sliding_window: z.boolean().default(false),
  sliding_window: size.nullable().default(4096),
  max_window_layers: z.int().min(0).default(28),
  layer_types: z.unknown().optional(),
};

const qwen2Schema = z.object(slidingConfig);
const qwen3Schema = z.object({
  ...slidingConfig,
  head_dim: size.default(128),
  attention_bias: z.boolean().default(false),
});

export const qwen2: Family = {
  modelType: "qwen2",
  configure(value) {
    const config = parseConfig(qwen2Schema, value);
    const plain = plainDecoder("qwen2", config);
    const biases = { qkv: true, out: false, mlp: false };
    return decoder({ ...plain, biases, layers: windowed(plain.layers, config) });
  },
};

export const qwen3: Family = {
  modelType: "qwen3",
  configure(value) {
    const config = parseConfig(qwen3Schema, value);
    const plain = plainDecoder("qwen3", config);
    const { attention_bias: biased } = config;
    const biases = { qkv: biased, out: biased, mlp: false };
    return decoder({ ...plain, biases, headNorms: true, layers: windowed(plain.layers, config) });
  },
};

function windowed(layers: readonly Layer[], config: z.output<typeof qwen2Schema>): Layer[] {
  const window = config.use_sliding_window ? config.sliding_window : null;
  const types = layerTypes(config.layer_types, layers.length, (index) =>
    window !== null && index >= config.max_window_layers ? "sliding_attention" : "full_attention",
  );
  return layers.map((layer, index) => (types[index] === "sliding_attention" ? { ...layer, window } : layer));
}
