/** config.json of the measured models, as on their pages on the Hugging Face Hub. */
import { readFile } from "node:fs/promises";
import { SteplogError } from "../schema/errors.ts";

const opt = {
  model_type: "opt",
  architectures: ["OPTForCausalLM"],
  activation_function: "relu",
  do_layer_norm_before: true,
  max_position_embeddings: 2048,
  vocab_size: 50_272,
  bos_token_id: 2,
  eos_token_id: 2,
  pad_token_id: 1,
  init_std: 0.02,
};

/** A larger OPT model, by the sizes of Zhang et al. 2022, table 1. */
function largeOpt(hidden: number, layers: number, heads: number): object {
  return {
    ...opt,
    hidden_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    ffn_dim: 4 * hidden,
    word_embed_proj_dim: hidden,
  };
}

const configs: Readonly<Record<string, object>> = {
  /** For trying out the benchmarks; not a published model. */
  tiny: {
    ...opt,
    vocab_size: 512,
    hidden_size: 64,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    ffn_dim: 256,
    max_position_embeddings: 256,
    word_embed_proj_dim: 64,
  },
  /** https://huggingface.co/facebook/opt-125m */
  "opt-125m": {
    ...opt,
    hidden_size: 768,
    num_hidden_layers: 12,
    num_attention_heads: 12,
    ffn_dim: 3072,
    word_embed_proj_dim: 768,
  },
  /** https://huggingface.co/facebook/opt-1.3b, and so on */
  "opt-1.3b": largeOpt(2048, 24, 32),
  "opt-2.7b": largeOpt(2560, 32, 32),
  "opt-6.7b": largeOpt(4096, 32, 32),
  "opt-13b": largeOpt(5120, 40, 40),
  "opt-30b": largeOpt(7168, 48, 56),
  "opt-66b": largeOpt(9216, 64, 72),
  /** https://huggingface.co/openai-community/gpt2 */
  gpt2: {
    model_type: "gpt2",
    architectures: ["GPT2LMHeadModel"],
    activation_function: "gelu_new",
    initializer_range: 0.02,
    layer_norm_epsilon: 1e-5,
    n_ctx: 1024,
    n_embd: 768,
    n_head: 12,
    n_layer: 12,
    n_positions: 1024,
    vocab_size: 50_257,
    bos_token_id: 50_256,
    eos_token_id: 50_256,
  },
  /** https://huggingface.co/Qwen/Qwen2.5-0.5B */
  "qwen2.5-0.5b": {
    model_type: "qwen2",
    architectures: ["Qwen2ForCausalLM"],
    hidden_act: "silu",
    hidden_size: 896,
    initializer_range: 0.02,
    intermediate_size: 4864,
    max_position_embeddings: 32_768,
    max_window_layers: 24,
    num_attention_heads: 14,
    num_hidden_layers: 24,
    num_key_value_heads: 2,
    rms_norm_eps: 1e-6,
    rope_theta: 1_000_000,
    sliding_window: 32_768,
    use_sliding_window: false,
    tie_word_embeddings: true,
    vocab_size: 151_936,
    bos_token_id: 151_643,
    eos_token_id: 151_643,
  },
  /** https://huggingface.co/meta-llama/Llama-3.2-1B */
  "llama-3.2-1b": {
    model_type: "llama",
    architectures: ["LlamaForCausalLM"],
    attention_bias: false,
    head_dim: 64,
    hidden_act: "silu",
    hidden_size: 2048,
    initializer_range: 0.02,
    intermediate_size: 8192,
    max_position_embeddings: 131_072,
    mlp_bias: false,
    num_attention_heads: 32,
    num_hidden_layers: 16,
    num_key_value_heads: 8,
    rms_norm_eps: 1e-5,
    rope_scaling: {
      factor: 32,
      high_freq_factor: 4,
      low_freq_factor: 1,
      original_max_position_embeddings: 8192,
      rope_type: "llama3",
    },
    rope_theta: 500_000,
    tie_word_embeddings: true,
    vocab_size: 128_256,
    bos_token_id: 128_000,
    eos_token_id: 128_001,
  },
};

/** A config by its name above, or from a file. @throws INVALID_ARGUMENT */
export async function configNamed(nameOrPath: string): Promise<object> {
  const known = configs[nameOrPath];
  if (known) return known;
  const text = await readFile(nameOrPath, "utf8").catch(() => null);
  if (text !== null) return JSON.parse(text) as object;
  const names = Object.keys(configs).join(", ");
  throw new SteplogError(
    "INVALID_ARGUMENT",
    `There is no config ${nameOrPath}. Give a config.json or one of ${names}.`,
  );
}
