"""What tokenizer_config.json and its older companions change: tokens that only they have, BOS and EOS.

Writes tokenizer-configs.json, with transformers:
    python tests/golden/tokenizer-configs.py
"""

import json
import pathlib
import tempfile

import tokenizers
import transformers
from transformers import AutoTokenizer

TEXTS = ["a b <t>c", "<T> a<t> b", "x<t>y <t> .", "<s>a</s> <b><e>", "<u> <v>a<V>", "ab<pad>ba  <t>  b", "A\u00c9<m> \u00e9", "", " "]


def token(content, **flags):
    return {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True, **flags}


VOCAB = {t: i for i, t in enumerate(["<unk>", "<s>", "</s>", "<pad>", *"abcxy<>tTsuvVmpdeE/. ", "\u00e9", "\u00c9", "ab", "<u>"])}
OWN = [{"id": i, **token(t)} for i, t in enumerate(["<unk>", "<s>", "</s>", "<pad>"])]
TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
}
BPE = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None,
       "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": VOCAB, "merges": [["a", "b"]]}


def tokenizer(**parts):
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": OWN, "normalizer": None, "pre_tokenizer": None,
            "post_processor": TEMPLATE, "decoder": {"type": "Fuse"}, "model": BPE, **parts}


LOWER = {"normalizer": {"type": "Lowercase"}}
BASE = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}

BYTES = {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
         "model": {**BPE, "unk_token": None, "vocab": {**VOCAB, "\u0120": len(VOCAB)}, "merges": []},
         "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}}
ROBERTA = {**BYTES, "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1], "trim_offsets": True, "add_prefix_space": True}}
PREFIXED = {**BYTES, "pre_tokenizer": {**BYTES["pre_tokenizer"], "add_prefix_space": True}}

CASES = {
    "nothing": ({}, {}, {}),
    "a token of the config": ({}, {"added_tokens_decoder": {"28": token("<t>")}}, {}),
    "ids with a gap": ({}, {"added_tokens_decoder": {"90": token("<t>"), "50": token("<T>")}}, {}),
    "one word": ({}, {"added_tokens_decoder": {"40": token("<t>", single_word=True), "41": token("ab", single_word=True, special=False)}}, {}),
    "left": ({}, {"added_tokens_decoder": {"40": token("<t>", lstrip=True)}}, {}),
    "right": ({}, {"added_tokens_decoder": {"40": token("<t>", rstrip=True)}}, {}),
    "normalised": (LOWER, {"added_tokens_decoder": {"40": token("<T>", normalized=True, special=False), "41": token("\u00c9", normalized=False)}}, {}),
    "normalised and special": (LOWER, {"added_tokens_decoder": {"40": token("<T>", normalized=True), "41": token("\u00c9", normalized=True)}}, {}),
    "others properties": ({}, {"added_tokens_decoder": {"1": token("<s>", rstrip=True), "3": token("<pad>", lstrip=True, rstrip=True)}}, {}),
    "of the model": ({}, {"added_tokens_decoder": {"27": token("<u>", special=False)}}, {}),
    "extra tokens": ({}, {"extra_special_tokens": ["<t>", "<v>"]}, {}),
    "extra tokens with names": ({}, {"extra_special_tokens": {"video_token": "<v>"}}, {}),
    "additional tokens": ({}, {"additional_special_tokens": ["<t>", "<u>"]}, {}),
    "named tokens": ({}, {"mask_token": "<m>", "image_token": "<v>", "sep_token": "<t>"}, {}),
    "a token as an object": ({}, {"mask_token": {"__type": "AddedToken", **token("<m>", lstrip=True)}}, {}),
    "added_tokens.json": ({}, {}, {"added_tokens.json": {"<t>": 29, "<v>": 28}}),
    "added_tokens.json with special ones": (LOWER, {"mask_token": "<m>"}, {"added_tokens.json": {"<T>": 29, "<m>": 28}}),
    "special_tokens_map.json": ({}, {}, {"special_tokens_map.json": {"mask_token": {"content": "<m>", "lstrip": True, "rstrip": False, "single_word": False, "normalized": False}, "sep_token": "<t>"}}),
    "add BOS": ({"post_processor": None}, {"add_bos_token": True}, {}),
    "add EOS": ({}, {"add_eos_token": True}, {}),
    "add both": ({}, {"add_bos_token": True, "add_eos_token": True}, {}),
    "add none": ({}, {"add_bos_token": False, "add_eos_token": False}, {}),
    "no post-processor": ({"post_processor": None}, {}, {}),
    "no BOS to add": ({}, {"add_bos_token": True, "bos_token": None}, {}),
    "GPT-2 with a prefix": (BYTES, {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": True}, {}),
    "GPT-2 without a prefix": (PREFIXED, {"tokenizer_class": "GPT2Tokenizer"}, {}),
    "RoBERTa with a prefix": (ROBERTA, {"tokenizer_class": "RobertaTokenizerFast", "add_prefix_space": True, "mask_token": "<m>", "sep_token": "</s>", "cls_token": "<s>"}, {}),
    "a prefix of the file": (PREFIXED, {"add_prefix_space": False}, {}),
    "split special tokens": ({}, {"split_special_tokens": True, "added_tokens_decoder": {"40": token("<t>"), "41": token("ab", special=False)}}, {}),
}


def case(name, parts, config, more):
    files = {"tokenizer.json": tokenizer(**parts), "tokenizer_config.json": {**BASE, **config}, **more}
    with tempfile.TemporaryDirectory() as folder:
        for file, content in files.items():
            (pathlib.Path(folder) / file).write_text(json.dumps(content))
        loaded = AutoTokenizer.from_pretrained(folder)
        ids = [loaded(text)["input_ids"] for text in TEXTS]
        decoded = [loaded.decode(row, skip_special_tokens=True, clean_up_tokenization_spaces=False) for row in ids]
    return {"name": name, "files": files, "ids": ids, "decoded": decoded}


cases = [case(name, *parts) for name, parts in CASES.items()]
made_by = f"transformers {transformers.__version__}, tokenizers {tokenizers.__version__}, tests/golden/tokenizer-configs.py"
lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
path = pathlib.Path(__file__).parent / "tokenizer-configs.json"
path.write_text(f'{{"made_by":{json.dumps(made_by)},\n"texts":{json.dumps(TEXTS)},\n"cases":[\n{lines}\n]}}\n')
