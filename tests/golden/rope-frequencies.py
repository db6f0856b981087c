"""Makes rope-frequencies.json: what transformers makes of rope parameters. Wants transformers and torch.

    python tests/golden/rope-frequencies.py > tests/golden/rope-frequencies.json
"""

import json

import torch
import transformers
from transformers import LlamaConfig, Phi3Config
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.phi3.modeling_phi3 import Phi3RotaryEmbedding

factors = {"short_factor": [1.0, 1.05, 1.5, 2.0], "long_factor": [1.1, 2.0, 12.5, 40.0]}
sizes = {"hidden_size": 32, "num_attention_heads": 4, "max_position_embeddings": 4096}
llama3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024}
phi3 = {"original_max_position_embeddings": 256, "rope_theta": 10000.0}

# name, model class, fields of config.json, tokens of the longest sequence
cases = [
    ("default", LlamaConfig, {"rope_theta": 500000.0}, 7),
    ("default, named by an old key", LlamaConfig, {"rope_theta": 1e4, "rope_scaling": {"type": "default"}}, 7),
    ("no theta", LlamaConfig, {}, 7),
    ("rope_parameters", LlamaConfig, {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}, 7),
    ("linear", LlamaConfig, {"rope_theta": 1e4, "rope_scaling": {"type": "linear", "factor": 2.5}}, 7),
    ("dynamic", LlamaConfig, {"rope_theta": 1e4, "rope_scaling": {"type": "dynamic", "factor": 2.0}}, 4096),
    ("llama3", LlamaConfig, {"rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", **llama3}}, 7),
    ("llama3 in rope_parameters", LlamaConfig,
     {"rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4, **llama3}}, 7),
    ("yarn", LlamaConfig, {"rope_theta": 1e4, "rope_scaling": yarn}, 7),
    ("yarn with its own bounds", LlamaConfig,
     {"rope_theta": 1e6, "rope_scaling": {**yarn, "beta_fast": 16.0, "beta_slow": 2.0, "truncate": False}}, 7),
    ("yarn with mscale", LlamaConfig,
     {"rope_theta": 1e4, "rope_scaling": {**yarn, "mscale": 0.8, "mscale_all_dim": 0.5}}, 7),
    ("yarn with an attention factor", LlamaConfig,
     {"rope_theta": 1e4, "rope_scaling": {**yarn, "attention_factor": 0.9}}, 7),
    ("longrope, a short sequence", Phi3Config, {**phi3, "rope_scaling": {"type": "longrope", **factors}}, 256),
    ("longrope, a long sequence", Phi3Config, {**phi3, "rope_scaling": {"type": "longrope", **factors}}, 257),
    ("longrope of an early name", Phi3Config,
     {**phi3, "rope_scaling": {"type": "su", "original_max_position_embeddings": 256, **factors}}, 7),
    ("longrope with an attention factor", Phi3Config,
     {**phi3, "rope_scaling": {"type": "longrope", "attention_factor": 1.2, **factors}}, 257),
    ("longrope of part of a head", Phi3Config,
     {**phi3, "partial_rotary_factor": 0.5,
      "rope_scaling": {"type": "longrope", "short_factor": [1.0, 2.0], "long_factor": [3.0, 4.0]}}, 7),
    ("part of a head", Phi3Config, {"rope_theta": 1e4, "partial_rotary_factor": 0.75}, 7),
]


def frequencies(kind, fields, length):
    config = kind(**sizes, **json.loads(json.dumps(fields)))
    rope_type = config.rope_parameters["rope_type"]
    if rope_type == "default":
        return Phi3RotaryEmbedding.compute_default_rope_parameters(config)
    return ROPE_INIT_FUNCTIONS[rope_type](config, torch.device("cpu"), seq_len=length)


made = []
for name, kind, fields, length in cases:
    values, scale = frequencies(kind, fields, length)
    config = {"model_type": kind.model_type, **sizes, **fields}
    made.append({"name": name, "config": config, "length": length, "frequencies": values.tolist(), "scale": scale})
versions = {"transformers": transformers.__version__, "torch": torch.__version__}
print(json.dumps({"versions": versions, "cases": made}, indent=1))
