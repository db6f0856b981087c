"""Writes pytorch/: files of torch.save, good and hostile, and what PyTorch reads in the good ones.

    python tests/golden/pytorch.py

opt/          a tiny OPT as the first releases are: pytorch_model.bin alone
views.bin     every dtype, views with offsets and strides, shared storages
legacy.bin    the same in the format before PyTorch 1.6
protocol4.bin the same in a newer protocol of pickle
zip64.bin     the same as a zip file with 64-bit sizes
hostile/      files that no reader of weights may trust
expected.json name, dtype, shape and SHA-256 of the bytes of each tensor, and the losses of opt/ by transformers
"""

import hashlib
import io
import json
import pickle
import shutil
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch
import transformers
from transformers import OPTConfig, OPTForCausalLM

here = Path(__file__).parent / "pytorch"
shutil.rmtree(here, ignore_errors=True)
(here / "hostile").mkdir(parents=True)
torch.manual_seed(7)

dtypes = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64", torch.int64: "I64"}
dtypes |= {torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL"}


def described(tensors):
    def one(tensor):
        raw = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        return {"dtype": dtypes[tensor.dtype], "shape": list(tensor.shape), "sha256": hashlib.sha256(raw).hexdigest()}

    return {name: one(tensor) for name, tensor in tensors.items()}


# A model.
config = OPTConfig(vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, ffn_dim=24, max_position_embeddings=14, word_embed_proj_dim=16, init_std=0.3)
model = OPTForCausalLM(config).eval()
model.config.architectures = ["OPTForCausalLM"]
folder = here / "opt"
folder.mkdir()
(folder / "config.json").write_text(json.dumps({key: value for key, value in model.config.to_dict().items() if value is not None}, indent=1))
state = OrderedDict(model.state_dict())
assert state["lm_head.weight"].data_ptr() == state["model.decoder.embed_tokens.weight"].data_ptr()
torch.save(model.state_dict(), folder / "pytorch_model.bin")
rows = [[2, 5, 9, 13, 21], [2, 39, 38, 37]]
losses = []
for row in rows:
    with torch.no_grad():
        losses.append(model(torch.tensor([row]), labels=torch.tensor([row])).loss.item())

# Views.
base = torch.randn(6, 5)
views = {
    "scalar": torch.tensor(3.5),
    "empty": torch.zeros(0, 3),
    "base": base,
    "transposed": base.t(),
    "columns": base[:, 1:3],
    "row": base[4],
    "same": base,
    "expanded": torch.randn(1, 4).expand(3, 4),
    "one": torch.randn(1, 1, 4)[:, :, ::2],
    "permuted": torch.randn(2, 3, 4).permute(2, 0, 1),
    "parameter": torch.nn.Parameter(torch.randn(3).half()),
}
views |= {str(dtype): torch.arange(6).to(dtype) for dtype in dtypes}
torch.save(views, here / "views.bin")
torch.save(views, here / "legacy.bin", _use_new_zipfile_serialization=False)
torch.save(views, here / "protocol4.bin", pickle_protocol=4)


def as_zip64(source, target):
    """The same entries, with the directory that files of more than 4 GiB have."""
    zipfile.ZIP64_LIMIT = 100
    with zipfile.ZipFile(source) as given, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as out:
        for entry in given.infolist():
            out.writestr(zipfile.ZipInfo(entry.filename), given.read(entry))


limit = zipfile.ZIP64_LIMIT
as_zip64(here / "views.bin", here / "zip64.bin")
zipfile.ZIP64_LIMIT = limit


# Hostile files, by the entries of their zip.
def archive(name, data, storages=(), byteorder="little", compression=zipfile.ZIP_STORED, more=()):
    with zipfile.ZipFile(here / "hostile" / f"{name}.bin", "w", compression) as out:
        out.writestr("a/data.pkl", data)
        out.writestr("a/byteorder", byteorder)
        for key, content in enumerate(storages):
            out.writestr(f"a/data/{key}", content)
        for entry, content in more:
            out.writestr(entry, content)


class Storage:
    def __init__(self, key, elements):
        self.id = ("storage", torch.FloatStorage, key, "cpu", elements)


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        return value.id if isinstance(value, Storage) else None


class Tensor:
    def __init__(self, *given):
        self.given = given

    def __reduce__(self):
        return torch._utils._rebuild_tensor_v2, (*self.given, False, OrderedDict())


class Call:
    def __init__(self, function, *given):
        self.function, self.given = function, given

    def __reduce__(self):
        return self.function, self.given


def pickled(value):
    out = io.BytesIO()
    Pickler(out, 2).dump(value)
    return out.getvalue()


def tensor(elements=4, offset=0, shape=(4,), strides=(1,), key="0"):
    return Tensor(Storage(key, elements), offset, shape, strides)


import builtins
import os

four = struct.pack("<4f", 1, 2, 3, 4)
archive("system", pickled({"w": Call(os.system, "touch system-was-called")}))
archive("eval", pickled({"w": tensor(), "x": Call(builtins.eval, "1")}), [four])
archive("load", pickled({"w": Call(torch.load, "x")}), [four])
archive("nested", pickled({"state_dict": {"w": tensor()}}), [four])
archive("number", pickled({"w": tensor(), "step": 5}), [four])
archive("list", pickled([tensor()]), [four])
archive("compressed", pickled({"w": tensor(elements=2**20, shape=(2**20,))}), [bytes(2**22)], compression=zipfile.ZIP_DEFLATED)
archive("longer", pickled({"w": tensor(elements=4)}), [four * 2])
archive("shorter", pickled({"w": tensor(elements=4)}), [four[:8]])
archive("missing", pickled({"w": tensor(key="7")}), [four])
archive("outside", pickled({"w": tensor(shape=(2, 2), strides=(3, 2))}), [four])
archive("offset", pickled({"w": tensor(offset=1)}), [four])
archive("negative", pickled({"w": tensor(offset=-1)}), [four])
archive("enormous", pickled({"w": tensor(shape=(2**40, 2**40), strides=(0, 0))}), [four])
archive("big-endian", pickled({"w": tensor()}), [four], byteorder="big")
archive("script", pickled({"w": tensor()}), [four], more=[("a/constants.pkl", b"\x80\x02).")])
archive("two-pickles", pickled({"w": tensor()}), [four], more=[("b/data.pkl", pickled({}))])
archive("climbing", pickled({"w": tensor()}), [four], more=[("../../x", b"x")])
archive("no-pickle", b"", more=[])
shutil.copy(here / "hostile" / "no-pickle.bin", here / "hostile" / "empty-pickle.bin")
with zipfile.ZipFile(here / "hostile" / "no-pickle.bin", "w") as out:
    out.writestr("a/data/0", four)
torch.save({"w": torch.zeros(4, dtype=torch.float8_e4m3fn)}, here / "hostile" / "float8.bin")

# Two entries of the directory that share the bytes of one.
archive("overlapping", pickled({"w": tensor(), "v": tensor(key="1")}), [four, four])
path = here / "hostile" / "overlapping.bin"
raw = bytearray(path.read_bytes())
first, second = (raw.rindex(name) - 46 for name in (b"a/data/0", b"a/data/1"))
raw[second + 42 : second + 46] = raw[first + 42 : first + 46]
path.write_bytes(raw)

expected = {
    "transformers": transformers.__version__,
    "torch": torch.__version__,
    "views": described(views),
    "opt": described(state),
    "rows": rows,
    "losses": losses,
}
(here / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
