/** Llama (Touvron et al. 2023; Grattafiori et al. 2024), as transformers' LlamaForCausalLM computes it. */
import { z } from "zod";
import { parseConfig } from "./config.ts";
import { decoder, decoderConfig, plainDecoder } from "./decoder.ts";
import type { Family } from "./family.ts";

const configSchema = z.object({
  ...decoderConfig,
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
});

export const llama: Family = {
  modelType: "llama",
  configure(value) {
    const config = parseConfig(configSchema, value);
    const { attention_bias: attention, mlp_bias: mlp } = config;
    return decoder({ ...plainDecoder("llama", config), biases: { qkv: attention, out: attention, mlp } });
  },
};
