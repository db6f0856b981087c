"""Digests of what prefixes begin with, by docs/STEP_LOG.md, "Prefixes": python tests/golden/prefix-init.py > tests/golden/prefix-init.json

Written from that page, with Python's floats; it shares no code with the engine. Its functions are those of exact.py.
"""

import hashlib
import importlib.util
import json
import math
import pathlib
import struct

HERE = pathlib.Path(__file__).resolve().parent


def module(name):
    spec = importlib.util.spec_from_file_location(name.replace("-", "_"), HERE / f"{name}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


import contextlib
import io

with contextlib.redirect_stdout(io.StringIO()):
    exact, adapter = module("exact"), module("adapter-init")


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def tensors(folder):
    data = (folder / "model.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    out = {}
    for name, entry in header.items():
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        out[name] = (entry["shape"], struct.unpack(f"<{(end - start) // 4}f", data[start:end]))
    return out


def drawn(vocabulary, length, seed):
    tensor = int.from_bytes(hashlib.sha256(b"prompt_embeddings").digest()[:4], "little")
    words = [w for block in range((length + 3) // 4) for w in adapter.philox((block, 0, tensor, 4), (seed, 0))]
    return [word * vocabulary >> 32 for word in words[:length]]


class Model:
    def __init__(self, folder):
        self.weights = tensors(folder)
        self.config = json.loads((folder / "config.json").read_text())

    def row(self, name, index):
        (_, columns), values = self.weights[name]
        return list(values[index * columns : (index + 1) * columns])

    def vector(self, name):
        return self.weights[name][1] if name in self.weights else None

    def linear(self, x, name):
        (outputs, inputs), w = self.weights[f"{name}.weight"]
        bias = self.vector(f"{name}.bias")
        out = []
        for o in range(outputs):
            total = bias[o] if bias else 0.0
            for i in range(inputs):
                total += x[i] * w[o * inputs + i]
            out.append(f32(total))
        return out

    def layer_norm(self, x, name):
        mean = ordered(x) / len(x)
        inverse = 1 / math.sqrt(ordered((v - mean) * (v - mean) for v in x) / len(x) + 1e-5)
        w, b = self.vector(f"{name}.weight"), self.vector(f"{name}.bias")
        return [f32((v - mean) * inverse * w[i] + b[i]) for i, v in enumerate(x)]

    def rms_norm(self, x, name):
        inverse = 1 / math.sqrt(ordered(v * v for v in x) / len(x) + self.config["rms_norm_eps"])
        w = self.vector(f"{name}.weight")
        return [f32(v * inverse * (w[i] + 0)) for i, v in enumerate(x)]


def ordered(values):
    """sum() of newer Pythons compensates; this does not."""
    total = 0.0
    for value in values:
        total += value
    return total


def add(a, b):
    return [f32(x + y) for x, y in zip(a, b)]


def attend(queries, keys, values, heads, key_heads):
    size = len(queries[0]) // heads
    scale = 1 / math.sqrt(size)
    out = []
    for t, q in enumerate(queries):
        row = [0.0] * len(q)
        for head in range(heads):
            at, own = head * size, head // (heads // key_heads) * size
            scores = [scale * ordered(q[at + c] * keys[j][own + c] for c in range(size)) for j in range(t + 1)]
            peak = max(scores)
            powers = [exact.exp(score - peak) for score in scores]
            total = ordered(powers)
            for c in range(size):
                row[at + c] = f32(ordered(power / total * values[j][own + c] for j, power in enumerate(powers)))
        out.append(row)
    return out


def opt(model, ids):
    prefix, heads = "model.decoder", model.config["num_attention_heads"]
    x = [add(model.row(f"{prefix}.embed_tokens.weight", id), model.row(f"{prefix}.embed_positions.weight", t + 2)) for t, id in enumerate(ids)]
    seen = []
    for layer in range(model.config["num_hidden_layers"]):
        name = f"{prefix}.layers.{layer}"
        normed = [model.layer_norm(row, f"{name}.self_attn_layer_norm") for row in x]
        q, k, v = ([model.linear(row, f"{name}.self_attn.{part}_proj") for row in normed] for part in "qkv")
        seen.append((k, v))
        attended = attend(q, k, v, heads, heads)
        x = [add(row, model.linear(a, f"{name}.self_attn.out_proj")) for row, a in zip(x, attended)]
        for t, row in enumerate(x):
            inner = [max(0.0, h) for h in model.linear(model.layer_norm(row, f"{name}.final_layer_norm"), f"{name}.fc1")]
            x[t] = add(row, model.linear(inner, f"{name}.fc2"))
    return seen


def mistral(model, ids):
    config = model.config
    heads, key_heads, size = config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]
    log_theta = exact.log(config["rope_parameters"]["rope_theta"])
    frequencies = [exact.exp(-2 * pair / size * log_theta) for pair in range(size // 2)]

    def turned(row, position):
        out = list(row)
        for head in range(0, len(row), size):
            for pair, frequency in enumerate(frequencies):
                across, up = exact.quarter(position * frequency, 1), exact.quarter(position * frequency, 0)
                a, b = row[head + pair], row[head + pair + size // 2]
                out[head + pair], out[head + pair + size // 2] = f32(a * across - b * up), f32(b * across + a * up)
        return out

    x = [model.row("model.embed_tokens.weight", id) for id in ids]
    seen = []
    for layer in range(config["num_hidden_layers"]):
        name = f"model.layers.{layer}"
        normed = [model.rms_norm(row, f"{name}.input_layernorm") for row in x]
        q, k, v = ([model.linear(row, f"{name}.self_attn.{part}_proj") for row in normed] for part in "qkv")
        q, k = ([turned(row, t) for t, row in enumerate(rows)] for rows in (q, k))
        seen.append((k, v))
        x = [add(row, model.linear(a, f"{name}.self_attn.o_proj")) for row, a in zip(x, attend(q, k, v, heads, key_heads))]
        for t, row in enumerate(x):
            normed_row = model.rms_norm(row, f"{name}.post_attention_layernorm")
            gate = [f32(g / (1 + exact.exp(-g))) for g in model.linear(normed_row, f"{name}.mlp.gate_proj")]
            up = model.linear(normed_row, f"{name}.mlp.up_proj")
            x[t] = add(row, model.linear([f32(g * u) for g, u in zip(gate, up)], f"{name}.mlp.down_proj"))
    return seen


cases = []
for name, forward in (("opt", opt), ("mistral", mistral)):
    model = Model(HERE / "hf" / name)
    layers = forward(model, drawn(model.config["vocab_size"], 5, 42))
    values = [value for t in range(5) for pair in layers for part in pair for value in part[t]]
    cases.append({"model": name, "digest": hashlib.sha256(struct.pack(f"<{len(values)}f", *values)).hexdigest()})
print(json.dumps(cases, indent=2))
