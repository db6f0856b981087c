"""Writes a GGUF file for llama.cpp with the weights of a Llama or Qwen2 model folder, bit for bit, and a made-up vocabulary.

  python3 to_gguf.py MODEL OUT.gguf

bfloat16 stays bfloat16 and float32 stays float32, except vectors (norms and biases), which llama.cpp wants in float32.
Needs the packages gguf and numpy.
"""
import argparse
import json
import pathlib

import gguf
import numpy

ARCHITECTURES = {"llama": (gguf.MODEL_ARCH.LLAMA, "llama"), "qwen2": (gguf.MODEL_ARCH.QWEN2, "qwen2")}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    given = parser.parse_args()
    config = json.loads((given.model / "config.json").read_text())
    if config["model_type"] not in ARCHITECTURES:
        raise SystemExit(f"{config['model_type']} is not one of {', '.join(ARCHITECTURES)}.")
    arch, name = ARCHITECTURES[config["model_type"]]
    writer = gguf.GGUFWriter(str(given.out), name)
    add_settings(writer, config)
    add_vocabulary(writer, config["vocab_size"])
    names = gguf.get_tensor_name_map(arch, config["num_hidden_layers"])
    for key, dtype, data in tensors_of(given.model):
        target = names.get_name(key, try_suffixes=(".weight", ".bias"))
        if target is None:
            raise SystemExit(f"llama.cpp has no name for the tensor {key}.")
        add_tensor(writer, target, dtype, permuted(config, key, data))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_settings(writer, config):
    heads = config["num_attention_heads"]
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads", heads))
    writer.add_rope_dimension_count(config.get("head_dim") or config["hidden_size"] // heads)
    writer.add_rope_freq_base(config.get("rope_theta", 10_000.0))
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])


def add_vocabulary(writer, size):
    """Random weights have no tokenizer; tokens go in and out as numbers."""
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([f"[{token}]" for token in range(size)])
    writer.add_token_types([gguf.TokenType.NORMAL] * size)
    writer.add_token_merges(["a b"])


def tensors_of(folder):
    """(name, dtype, array) of every tensor; bfloat16 as its 16 bits."""
    for file in sorted(folder.glob("*.safetensors")):
        raw = numpy.memmap(file, dtype=numpy.uint8, mode="r")
        length = int(raw[:8].view("<u8")[0])
        header = json.loads(bytes(raw[8 : 8 + length]))
        for key, entry in header.items():
            if key == "__metadata__":
                continue
            first, last = (8 + length + offset for offset in entry["data_offsets"])
            kind = {"BF16": "<u2", "F32": "<f4"}[entry["dtype"]]
            yield key, entry["dtype"], numpy.array(raw[first:last]).view(kind).reshape(entry["shape"])


def permuted(config, key, data):
    """Llama's rotary halves become neighbours, as llama.cpp has them; Qwen2 keeps halves."""
    if config["model_type"] != "llama":
        return data
    heads = config["num_attention_heads"]
    if key.endswith("q_proj.weight"):
        groups = heads
    elif key.endswith("k_proj.weight"):
        groups = config.get("num_key_value_heads", heads)
    else:
        return data
    return data.reshape(groups, 2, data.shape[0] // groups // 2, -1).swapaxes(1, 2).reshape(data.shape)


def add_tensor(writer, name, dtype, data):
    if dtype == "F32":
        writer.add_tensor(name, data)
    elif data.ndim == 1:
        writer.add_tensor(name, (data.astype("<u4") << 16).view("<f4"))
    else:
        writer.add_tensor(name, data.view(numpy.uint8), raw_dtype=gguf.GGMLQuantizationType.BF16)


if __name__ == "__main__":
    main()
