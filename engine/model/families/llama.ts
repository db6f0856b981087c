/** Llama (Touvron et al. 2023; Grattafiori et al. 2024), as transformers' LlamaForCausalLM computes it. */
import { z } from "zod";
import { parseConfig, unsupportedField } from "./config.ts";
import { decoder, decoderConfig, layerTypes, plainDecoder } from "./decoder.ts";
import type { Family } from "./family.ts";

const configSchema = z.object({
  ...decoderConfig({
    vocab_size: 32_000,
    hidden_size: 4096,
    intermediate_size: 11_008,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    max_position_embeddings: 2048,
  }),
  layer_types: z.unknown().optional(),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
});

/** Llama has no window; transformers would still cut its cache to one. */
function refuseWindows({ layer_types, num_hidden_layers }: z.output<typeof configSchema>): void {
  const types = layerTypes(layer_types, num_hidden_layers, () => "full_attention");
  if (types.includes("sliding_attention")) {
    throw unsupportedField("layer_types", "sliding_attention", ["full_attention in Llama"]);
  }
}

export const llama: Family = {
  modelType: "llama",
  configure(value) {
    const config = parseConfig(configSchema, value);
    const { attention_bias: attention, mlp_bias: mlp } = config;
    refuseWindows(config);
    return decoder({ ...plainDecoder("llama", config), biases: { qkv: attention, out: attention, mlp } });
  },
};
