/**
 * Mistral (Jiang et al. 2023), as transformers' MistralForCausalLM computes it: Llama with a sliding window. With layer_types,
 * as its MinistralForCausalLM, which it takes for such configs: the window is that of some layers.
 */
import { z } from "zod";
import { parseConfig, size } from "./config.ts";
import { decoder, decoderConfig, layerTypes, plainDecoder } from "./decoder.ts";
import type { Family } from "./family.ts";

const configSchema = z.object({
  ...decoderConfig({
    vocab_size: 32_000,
    hidden_size: 4096,
    intermediate_size: 14_336,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    max_position_embeddings: 131_072,
  }),
  num_key_value_heads: size.nullable().default(8),
  sliding_window: size.nullable().default(4096),
  layer_types: z.unknown().optional(),
});

export const mistral: Family = {
  modelType: "mistral",
  configure(value) {
    const config = parseConfig(configSchema, value);
    const plain = plainDecoder("mistral", config);
    const types = layerTypes(config.layer_types, plain.layers.length, () => "sliding_attention");
    const window = (index: number) => (types[index] === "sliding_attention" ? config.sliding_window : null);
    return decoder({ ...plain, layers: plain.layers.map((layer, index) => ({ ...layer, window: window(index) })) });
  },
};
