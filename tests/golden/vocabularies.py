"""Writes vocabularies.json: tokenizers that transformers builds from vocab.json, merges.txt and special tokens alone.

    python tests/golden/vocabularies.py

`cases` have the other files of each folder, the tokenizer without vocabulary and merges, and the ids of `texts`.
"""

import json
import tempfile
from pathlib import Path

import tokenizers
import transformers
from transformers import AutoTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

here = Path(__file__).parent
words = ["the", "Ġthe", "Ġgreen", "Ġboat", "Ġboil", "bo", "se", "ven", "seven"]
merges = []
for word in words:
    parts = list(word)
    while len(parts) > 1:
        merges.append((parts[0], parts[1])) if (parts[0], parts[1]) not in merges else None
        parts[:2] = [parts[0] + parts[1]]
vocabulary = {token: index for index, token in enumerate(["<s>", "<pad>", "</s>", "<unk>"])}
for token in [*bytes_to_unicode().values(), *(a + b for a, b in merges), "<mask>"]:
    vocabulary.setdefault(token, len(vocabulary))
texts = ["the green boats boil", " the seven", "a</s> b <pad>c", "<mask> boils <mask>.", "naïve 🦜\n\nthe <extra>x<|endoftext|>"]

old = lambda text, **more: {"__type": "AddedToken", "content": text, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False, **more}
ends = {"unk_token": old("</s>"), "bos_token": old("</s>"), "eos_token": old("</s>"), "pad_token": old("<pad>")}
opt = {"errors": "replace", **ends, "add_prefix_space": False, "add_bos_token": True, "tokenizer_class": "GPT2Tokenizer"}
opt_map = {"bos_token": "</s>", "eos_token": "</s>", "unk_token": "</s>", "pad_token": "<pad>"}
added = {"1": {"content": "<pad>", "special": True}, "400": {"content": "<extra>", "special": False, "lstrip": True}}
cases = {
    "OPT": ("opt", {"tokenizer_config.json": opt, "special_tokens_map.json": opt_map}),
    "OPT without a map": ("opt", {"tokenizer_config.json": opt}),
    "OPT without a config": ("opt", {"special_tokens_map.json": opt_map}),
    "OPT without either": ("opt", {}),
    "GPT-2": ("gpt2", {}),
    "GPT-2 with ends and a space before": (
        "gpt2",
        {"tokenizer_config.json": {"add_prefix_space": True, "add_bos_token": True, "add_eos_token": True, "eos_token": "</s>"}},
    ),
    "GPT-2 with added tokens": ("gpt2", {"added_tokens.json": {"<extra>": len(vocabulary)}}),
    "GPT-2 with a list of added tokens": (
        "gpt2",
        {
            "tokenizer_config.json": {"added_tokens_decoder": added, "pad_token": "<pad>", "tokenizer_class": "GPT2TokenizerFast"},
            "special_tokens_map.json": {"pad_token": "<unk>"},
        },
    ),
    "GPT-2 with more special tokens": ("gpt2", {"special_tokens_map.json": {"additional_special_tokens": ["<extra>"], "pad_token": None}}),
    "RoBERTa": ("roberta", {}),
    "RoBERTa with a mask that takes the space": (
        "roberta",
        {"tokenizer_config.json": {"tokenizer_class": "RobertaTokenizer", "add_prefix_space": True, "mask_token": old("<mask>", lstrip=True), "trim_offsets": False}},
    ),
}

written = {}
for name, (model, files) in cases.items():
    with tempfile.TemporaryDirectory() as folder:
        files = {**files, "config.json": {"model_type": model}}
        Path(folder, "vocab.json").write_text(json.dumps(vocabulary))
        Path(folder, "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
        for file, content in files.items():
            Path(folder, file).write_text(json.dumps(content))
        tokenizer = AutoTokenizer.from_pretrained(folder)
        built = json.loads(tokenizer.backend_tokenizer.to_str())
        del built["model"]["vocab"], built["model"]["merges"]
        written[name] = {"files": files, "tokenizer": built, "ids": [tokenizer(text).input_ids for text in texts]}

out = {
    "transformers": transformers.__version__,
    "tokenizers": tokenizers.__version__,
    "vocabulary": vocabulary,
    "merges": [f"{a} {b}" for a, b in merges],
    "texts": texts,
    "cases": written,
}
(here / "vocabularies.json").write_text(json.dumps(out, indent=1, ensure_ascii=False) + "\n")
