"""First values of LoRA's A by docs/STEP_LOG.md, "Adapters": python tests/golden/adapter-init.py > tests/golden/adapter-init.json

Written from that page alone, with Python's integers and numpy's float32; it shares no code with the engine.
"""

import hashlib
import json

import numpy as np

MASK = 0xFFFFFFFF


def philox(counter, key):
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & MASK, (p0 >> 32) ^ c3 ^ k1, p0 & MASK
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return [c0, c1, c2, c3]


def element(name, seed, inputs, i):
    tensor = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
    block = i // 4
    word = philox((block & MASK, block >> 32, tensor, 4), (seed, 0))[i % 4]
    u = np.float32((2 * (word >> 8) + 1) / 2**24 - 1)
    return u * np.float32(1 / np.sqrt(np.float64(inputs)))


cases = []
for module, seed, inputs in [("model.layers.0.self_attn.q_proj", 0, 768), ("transformer.h.1.attn.c_attn", 4294967295, 33)]:
    name = f"base_model.model.{module}.lora_A.weight"
    bits = [f"{element(name, seed, inputs, i).view(np.uint32):08x}" for i in range(10)]
    cases.append({"module": module, "seed": seed, "inputs": inputs, "bits": bits})
print(json.dumps(cases, indent=2))
