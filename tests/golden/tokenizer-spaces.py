"""Tokens of texts with white space that JavaScript and Unicode draw the line around differently: U+FEFF and U+0085.

Writes spaces.json beside the tokenizers whose words are split by GPT-2's built-in pattern, with the Rust tokenizers library:
    python tests/golden/tokenizer-spaces.py
"""

import json
import pathlib

import tokenizers

TEXTS = ["a\ufeffb", "read \ufeff the", "\ufeffread", "the\u0085read", "the \u0085 read", "read\u0085", "the\u00a0read", "a  \ufeffb", "a  \u0085b", "a \ufeff\u0085  b"]

here = pathlib.Path(__file__).parent / "tokenizers"
for kind in ["bytelevel-gpt2", "bytelevel-roberta"]:
    tokenizer = tokenizers.Tokenizer.from_file(str(here / kind / "tokenizer.json"))
    answers = [{"text": text, "ids": tokenizer.encode(text, add_special_tokens=False).ids} for text in TEXTS]
    made = {"made_by": f"tokenizers {tokenizers.__version__}, tests/golden/tokenizer-spaces.py", "encodings": answers}
    (here / kind / "spaces.json").write_text(json.dumps(made, indent=1) + "\n")
