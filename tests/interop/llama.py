"""Converts rebuilt folders to GGUF by llama.cpp's own converter, all in one process. llama.ts starts it.

    llama.py SOURCES FOLDER OUT [FOLDER OUT ...]

SOURCES is a checkout of llama.cpp. The models are tiny and random, and so is their vocabulary; the converter refuses
tokenizers that it does not know, so it is given the tokens of tokenizer.json. Only ids go in and out, so no text depends on
them.
"""

import json
import os
import runpy
import sys


def main():
    sources, *pairs = sys.argv[1:]
    os.environ["HF_HUB_OFFLINE"] = "1"
    sys.path.insert(1, os.path.join(sources, "gguf-py"))
    sys.path.insert(1, sources)
    for folder, out in zip(pairs[::2], pairs[1::2]):
        take_any_vocabulary(folder)
        sys.argv = ["convert_hf_to_gguf.py", folder, "--outfile", out, "--outtype", "f32"]
        runpy.run_path(os.path.join(sources, "convert_hf_to_gguf.py"), run_name="__main__")


def take_any_vocabulary(folder):
    from conversion import get_model_class
    from conversion.base import TextModel

    with open(os.path.join(folder, "config.json")) as file:
        (architecture,) = json.load(file)["architectures"]
    with open(os.path.join(folder, "tokenizer.json")) as file:
        tokens = list(json.load(file)["model"]["vocab"])
    normal = 1
    get_model_class(architecture).set_vocab = TextModel.set_vocab
    TextModel.get_vocab_base = lambda self: (tokens, [normal] * len(tokens), "gpt-2")


if __name__ == "__main__":
    sys.exit(main())
