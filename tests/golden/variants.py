"""Writes variants.json and config-defaults.json: what transformers makes of configs and folders that differ from the golden ones.

    python tests/golden/variants.py

variants.json: losses of scored tokens, of the rows in each model's expected.json, for
- own-head: a folder whose config ties the head, and whose file has a head of its own: the table's rows, last first (with
  RoBERTa's bias of the head, own-bias, alone too),
- layer-types: mistral with a window of 4 tokens in its second layer only.
config-defaults.json: the fields of each family's config that Steplog reads, as its class has them by default.
"""

import json
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

here = Path(__file__).parent
table = {
    "gpt2": ("transformer.wte.weight", "lm_head.weight"),
    "opt": ("model.decoder.embed_tokens.weight", "lm_head.weight"),
    "gemma2": ("model.embed_tokens.weight", "lm_head.weight"),
    "roberta": ("roberta.embeddings.word_embeddings.weight", "lm_head.decoder.weight"),
}


def losses(folder, expected):
    masked = expected["kind"] == "masked_lm"
    kind = AutoModelForMaskedLM if masked else AutoModelForCausalLM
    model = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    found = []
    for ids, labels, length in zip(expected["input_ids"], expected["labels"], expected["lengths"]):
        with torch.no_grad():
            logits = model(torch.tensor([ids[:length]])).logits[0].double()
        logits, targets = (logits, labels[:length]) if masked else (logits[:-1], labels[1:length])
        scores = torch.log_softmax(logits, -1)
        found += [-scores[at, target].item() for at, target in enumerate(targets) if target != -100]
    return found


def variant(model, change):
    with tempfile.TemporaryDirectory() as folder:
        source = here / "hf" / model
        expected = json.loads((source / "expected.json").read_text())
        config = json.loads((source / "config.json").read_text())
        tensors = load_file(source / "model.safetensors")
        change(config, tensors)
        Path(folder, "config.json").write_text(json.dumps(config))
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, Path(folder, "model.safetensors"), {"format": "pt"})
        return losses(folder, expected)


def own(model):
    shared, head = table[model]
    return variant(model, lambda config, tensors: tensors.update({head: tensors[shared].flip(0)}))


def own_bias(config, tensors):
    tensors["lm_head.decoder.bias"] = tensors["lm_head.bias"].flip(0)


def layer_types(config, tensors):
    kinds = ["full_attention", "sliding_attention"]
    config.update(sliding_window=4, layer_types=[kinds[i % 2] for i in range(config["num_hidden_layers"])])


variants = {
    "transformers": transformers.__version__,
    "torch": torch.__version__,
    "own-head": {model: own(model) for model in table},
    "own-bias": {"roberta": variant("roberta", own_bias)},
    "layer-types": {"mistral": variant("mistral", layer_types)},
}
(here / "variants.json").write_text(json.dumps(variants, indent=1) + "\n")

fields = """vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads head_dim
max_position_embeddings hidden_act rms_norm_eps rope_parameters attention_bias mlp_bias sliding_window layer_types
use_sliding_window max_window_layers original_max_position_embeddings hidden_activation query_pre_attn_scalar
attn_logit_softcapping final_logit_softcapping tie_word_embeddings n_embd n_layer n_head n_positions n_inner
activation_function layer_norm_epsilon scale_attn_weights scale_attn_by_inverse_layer_idx ffn_dim word_embed_proj_dim
do_layer_norm_before _remove_final_layer_norm enable_bias layer_norm_elementwise_affine type_vocab_size pad_token_id
layer_norm_eps""".split()
families = "gpt2 opt llama mistral qwen2 qwen3 phi3 gemma2 gemma3_text roberta".split()
defaults = {}
for family in families:
    config = AutoConfig.for_model(family)
    written = config.to_dict()
    defaults[family] = {field: written[field] for field in fields if field in written}
(here / "config-defaults.json").write_text(json.dumps(defaults, indent=1) + "\n")
