/** Phi-3 (Abdin et al. 2024), as transformers' Phi3ForCausalLM computes it: Llama with fused projections and longrope. */
import { z } from "zod";
import { parseConfig, positionCount, refuseFlag, size, unsupportedField } from "./config.ts";
import { decoder, decoderConfig, plainDecoder } from "./decoder.ts";
import type { Family } from "./family.ts";

const configSchema = z.object({
  ...decoderConfig({
    vocab_size: 32_064,
    hidden_size: 3072,
    intermediate_size: 8192,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    max_position_embeddings: 4096,
  }),
  rms_norm_eps: z.number().positive().default(1e-5),
  original_max_position_embeddings: positionCount.default(4096),
  sliding_window: size.nullish(),
  attention_bias: z.unknown().optional(),
  mlp_bias: z.unknown().optional(),
});

/** Names of longrope in Phi-3 configs; early ones say su, or yarn. */
const longropeNames = ["su", "yarn", "longrope"];

export const phi3: Family = {
  modelType: "phi3",
  configure(value) {
    const config = parseConfig(configSchema, value);
    refuseFlag("attention_bias", config.attention_bias);
    refuseFlag("mlp_bias", config.mlp_bias);
    const plain = plainDecoder("phi3", withLongrope(config), { partialRotary: true });
    const window = config.sliding_window ?? null;
    return decoder({ ...plain, fused: true, layers: plain.layers.map((layer) => ({ ...layer, window })) });
  },
};

function withLongrope<T extends z.output<typeof configSchema>>(config: T): T {
  const field = config.rope_scaling ? "rope_scaling" : "rope_parameters";
  const parameters = config[field];
  const type = parameters?.["rope_type"] ?? parameters?.["type"] ?? "default";
  if (type === "default") return config;
  if (!longropeNames.some((name) => name === type)) {
    throw unsupportedField(`${field}.rope_type`, type, ["default", ...longropeNames]);
  }
  return { ...config, [field]: { ...parameters, rope_type: "longrope" } };
}
