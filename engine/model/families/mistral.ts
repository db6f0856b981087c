/** Mistral (Jiang et al. 2023), as transformers' MistralForCausalLM computes it: Llama with a sliding window. */
import { z } from "zod";
import { parseConfig } from "./config.ts";
import { decoder, decoderConfig, plainDecoder } from "./decoder.ts";
import type { Family } from "./family.ts";

const configSchema = z.object({
  ...decoderConfig,
  num_key_value_heads: z.int().positive().nullable(),
  sliding_window: z.int().positive().nullable().default(4096),
});

export const mistral: Family = {
  modelType: "mistral",
  configure(value) {
    const config = parseConfig(configSchema, value);
    const plain = plainDecoder("mistral", config);
    return decoder({ ...plain, layers: plain.layers.map((layer) => ({ ...layer, window: config.sliding_window })) });
  },
};
