"""Every kind of part that a tokenizer.json may have, on texts that are hard to cut: what the Rust library makes of them.

Writes tokenizer-kinds.json.gz:
    python tests/golden/tokenizer-kinds.py
"""

import base64
import gzip
import json
import pathlib
import struct

import tokenizers
from tokenizers import Tokenizer

TEXTS = [
    "The quick brown fox can't jump over 12 lazy dogs.",
    "le gar\u00e7on pr\u00e9f\u00e8re la for\u00eat, \u00fcber gr\u00fcne H\u00fcgel",
    "cafe\u0301 e\u0301\u0302 n\u0303 \u1e9b\u0323 \u212b",
    "take 2 \u00bd spoons and 1\u00bc cups \u00b2\u00b3 \u2167 \u3007",
    "\u0661\u0662\u0663 \u06f4\u06f5 \u0967\u0968 \u2460\u2461 123456 1,234.56",
    "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea \u2764\ufe0f \U0001f44d\U0001f3fd",
    "\u4f60\u597d\uff0c\u4e16\u754c\u3002\u3053\u3093\u306b\u3061\u306f \u30ab\u30fc\u30c9 \ud55c\uad6d\uc5b4",
    "a\u00a0b\u2003c\u3000d\u202fe\u205ff\u1680g\u2028h\u2029i\u0085j\u180ek",
    "a\u200bb\u200cc\u200dd\ufeffe\u2060f\u00adg",
    "tabs\tand\nlines\r\nand\x0bmore\x0chere\x00\x07\x1b\x7f\x9f",
    "  two  spaces   three    ",
    " \u00a0 mixed \t\n  \r\n\r\n   end\n",
    "\u0130stanbul I\u0131i\u0130 \u03a3\u03a3\u03c2 \u039f\u0394\u039f\u03a3 \u1e9e \u00df \u01c5 \ufb01ne \ufb03 \u0149",
    "isn't I'LL we've 'S 's \u2019s it'\u017f THEY'RE d'accord 'tis",
    "snake_case camelCase kebab-case under\u203fscore a_b__c",
    "e-mail: a.b+c@d-e.fr!!! ... ?? \u2026 \u201cquoted\u201d \u00abguill\u00bb \u3010x\u3011",
    "$9.99 + \u20ac5 = 100% ~ ^ ` | <tag> \u00a9 \u2122 \u00d7 \u00f7",
    "\u0645\u0631\u062d\u0628\u0627\u064b \u0639\u0644\u0649 \u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd \u0928\u092e\u0938\u094d\u0924\u0947 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
    "\u1100\u1161\u11a8 \uac01 \u1112\u1161\u11ab\u1100\u1173\u11af",
    "<x> a<x>b <x>  c <y>d< x >",
    "Hello<x>World <Y> <y> word<w> words wordw <w>",
    "ABC<s>def</s> <s> </s>",
    "\uff21\uff22\uff23 \uff11\uff12 \u3392 \u2460 \u33a5 \ufdfa",
    "\u2581already\u2581marked \u2581\u2581 \u0120x \u010a",
    "aaaa bbbb aaabbb abababab aabbaabb",
    "-a--b---c- --",
    "\ufffd \ufffd\ufffd \ue000 \U000f0000 \u0378",
    "\U00020000\U0002a6d6 \U0002b740 \uf900 \U0002f800 \u3400",
    "do not ' quote ' n't 'm 've . , ? !",
    "x",
    " ",
    "\n",
    "\u0301",
    "\U0001d54f\U0001d7d8 \U00010400 \U00010428",
    "line one\nline two\n\n\nline three",
    "https://example.com/a?b=c&d=%20#e",
    "def f(x):\n    return x**2  # \u03bb\n",
    "\u0e01\u0e33 \u0915\u094d\u0937\u093f \u0b95\u0bca \u1d00",
    "word<w>word <w>. _<w> \u00e9<w> \u0301<w> 1<w>",
    "<x><x> <x><y>  <y>  <x>",
    "\u088f \u1acf e\u1abf\u0301 \ua7ce\ua7f2 \U000323b0 \u2e52 a\u07fd \u0295 \u061d\u166d \u08e2 \U000105c9 \u20c1",
]

FLAGS = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}


def token(content, **flags):
    return {"id": 0, "content": content, **FLAGS, **flags}


def added(*tokens):
    """With ids as the library would write them; it does not read them."""
    return [{**t, "id": 1000 + i} for i, t in enumerate(tokens)]


def whole(**parts):
    base = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None}
    return {**base, "pre_tokenizer": None, "post_processor": None, "decoder": None, "model": None, **parts}


def words_model(parts, texts=TEXTS):
    """A WordLevel model whose vocabulary is the words that the parts cut: ids show where."""
    empty = {"type": "WordLevel", "vocab": {"?": 0}, "unk_token": "?"}
    cutter = Tokenizer.from_str(json.dumps(whole(**parts, model=empty)))
    vocab = {"?": 0}
    for text in texts:
        normal = cutter.normalizer.normalize_str(text) if cutter.normalizer else text
        pieces = cutter.pre_tokenizer.pre_tokenize_str(normal) if cutter.pre_tokenizer else [(normal, None)]
        for word, _ in pieces:
            vocab.setdefault(word, len(vocab))
    return {**empty, "vocab": vocab}


def characters(texts=TEXTS, leave_out=""):
    return sorted({c for text in texts for c in text if c not in leave_out})


def charsmap(pairs):
    """A precompiled charsmap of SentencePiece: a double array (darts) of the keys, and what they become."""
    texts, offsets = b"", {}
    for key, value in sorted(pairs.items()):
        offsets[key.encode()] = len(texts)
        texts += value.encode() + b"\0"
    trie = {}
    for key, offset in offsets.items():
        node = trie
        for byte in key:
            node = node.setdefault(byte, {})
        node[None] = offset
    units = {0: 0}
    place(trie, 0, units, {0})
    array = [units.get(i, 0) for i in range((max(units) | 255) + 1)]
    blob = struct.pack("<I", 4 * len(array)) + struct.pack(f"<{len(array)}I", *array) + texts
    return base64.b64encode(blob).decode()


def place(node, at, units, bases):
    """Puts the children of the unit `at` where no other unit is, and says so in its offset."""
    labels = [0 if byte is None else byte for byte in node]
    base = next(b for b in range(1, 1 << 20) if b not in bases and all((b ^ label) not in units for label in labels))
    bases.add(base)
    units[at] |= (base ^ at) << 10 | (1 << 8 if None in node else 0)
    for byte, child in node.items():
        units[base ^ (byte or 0)] = child | 1 << 31 if byte is None else byte
    for byte, child in node.items():
        if byte is not None:
            place(child, base ^ byte, units, bases)


NORMALIZERS = {
    "NFC": {"type": "NFC"},
    "NFD": {"type": "NFD"},
    "NFKC": {"type": "NFKC"},
    "NFKD": {"type": "NFKD"},
    "Lowercase": {"type": "Lowercase"},
    "StripAccents": {"type": "StripAccents"},
    "NFD and StripAccents": {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}]},
    "Nmt": {"type": "Nmt"},
    "ByteLevel": {"type": "ByteLevel"},
    "Strip": {"type": "Strip", "strip_left": True, "strip_right": True},
    "Strip left": {"type": "Strip", "strip_left": True, "strip_right": False},
    "Strip right": {"type": "Strip", "strip_left": False, "strip_right": True},
    "Replace String": {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
    "Replace with dollars": {"type": "Replace", "pattern": {"String": "a"}, "content": "$&$1\\0"},
    "Replace Regex": {"type": "Replace", "pattern": {"Regex": "\\s{2,}|[\\w&&[^a-z]]"}, "content": "~"},
    "Replace nothing": {"type": "Replace", "pattern": {"Regex": "x*"}, "content": "_"},
    "Prepend": {"type": "Prepend", "prepend": "\u2581"},
    "Bert": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
    "Bert cased": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": False},
    "Bert accents": {"type": "BertNormalizer", "clean_text": False, "handle_chinese_chars": False, "strip_accents": True, "lowercase": False},
    "Bert lowercase only": {"type": "BertNormalizer", "clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": True},
    "Precompiled": {
        "type": "Precompiled",
        "precompiled_charsmap": charsmap({"\u00bd": "1/2", "\ufb01": "fi", "e\u0301": "E", "\u212b": "A", "\t": " ", "\uff21": "a", "\u200b": "", "\u3000": " "}),
    },
    "Sequence": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "^"}, {"type": "Lowercase"}, {"type": "NFKC"}]},
    "Sequence of none": {"type": "Sequence", "normalizers": []},
}


def split(pattern, behavior, invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


BEHAVIOURS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
GPT4 = (
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
    "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
)
O200K = (
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    "|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
)
EXPRESSIONS = {
    "words": "\\w+",
    "no words": "\\W+",
    "digits": "\\d",
    "no digits": "\\D+",
    "spaces": "\\s",
    "no spaces": "\\S+",
    "boundaries": "\\b",
    "no boundaries": "\\B",
    "possessive": "a++b|[^\\W\\d]++(?=\\s)",
    "atomic": "(?>a+)b|(?>\\w+)s",
    "inline flags": "(?i)the|o(?-i:V)er|(?i:k)",
    "ligatures": "(?i:\u00df|fi)",
    "extended": "(?x) \\d+ # digits\n | \\p{Lu}",
    "POSIX": "[[:punct:]]+|[[:upper:]]|[^[:alnum:][:space:]]",
    "properties": "\\p{Han}+|\\p{Greek}+|\\P{L}|\\p{^Lu}",
    "intersection": "[\\p{L}&&[^a-z]]+",
    "classes": "[\\w\\-.]+|[^\\s\\d]",
    "lookbehind": "(?<=\\w)'(?=\\w)|(?<!\\d)\\d",
    "anchors": "^.|.$|\\A\\s|\\z|\\Z",
    "lazy": "\\w+?\\b| .*?\\.",
    "references": "(\\w)\\1+",
    "hex": "\\x61|\\x{e9}|\\u00fc|\\h{2}",
    "names": "(?<first>a)\\k<first>",
    "dot": ".{3}",
    "newlines": "\\R|\\n",
    "GPT-4": GPT4,
    "o200k": O200K,
    "CJK": "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    "BLOOM": " ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+",
    "Qwen": GPT4.replace("{1,3}", ""),
    "intervals": "\\d{1,2}+|a{,2}b",
}

PRE_TOKENIZERS = {
    "Whitespace": {"type": "Whitespace"},
    "WhitespaceSplit": {"type": "WhitespaceSplit"},
    "Bert": {"type": "BertPreTokenizer"},
    "Digits": {"type": "Digits", "individual_digits": False},
    "Digits one by one": {"type": "Digits", "individual_digits": True},
    "CharDelimiterSplit": {"type": "CharDelimiterSplit", "delimiter": "-"},
    "FixedLength": {"type": "FixedLength", "length": 3},
    "UnicodeScripts": {"type": "UnicodeScripts"},
    "ByteLevel": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    "ByteLevel with a prefix": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    "ByteLevel unsplit": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": False},
    "Metaspace": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True},
    "Metaspace first": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": True},
    "Metaspace never": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "never", "split": True},
    "Metaspace unsplit": {"type": "Metaspace", "replacement": "_", "prepend_scheme": "always", "split": False},
    "Digits and ByteLevel": {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Digits", "individual_digits": True},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        ],
    },
    "Whitespace and Metaspace": {
        "type": "Sequence",
        "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": True}],
    },
    "Sequence of none": {"type": "Sequence", "pretokenizers": []},
    **{f"Punctuation {b}": {"type": "Punctuation", "behavior": b} for b in BEHAVIOURS},
    **{f"Split {b}": split({"String": "a"}, b) for b in BEHAVIOURS},
    **{f"Split {b} inverted": split({"Regex": "[a-z]+"}, b, True) for b in BEHAVIOURS},
    **{f"Split at {name}": split({"Regex": e}, "Isolated") for name, e in EXPRESSIONS.items()},
    **{f"Split merging {name}": split({"Regex": EXPRESSIONS[name]}, "MergedWithPrevious") for name in ["boundaries", "lazy", "anchors"]},
}

VARIANTS = [
    token("<x>"),
    token("<y>", lstrip=True, rstrip=True),
    token("<w>", single_word=True),
    token("<s>", special=True),
    token("</s>", special=True, rstrip=True),
]
ADDED = {
    "plain": added(*VARIANTS),
    "normalized": added(*[{**t, "normalized": True} for t in VARIANTS]),
    "left": added(token("<x>", lstrip=True), token("x>", rstrip=True), token("<y", single_word=True, lstrip=True)),
    "words": added(token("word", single_word=True), token("words", normalized=True), token(" "), token("\u00e9", normalized=True)),
}


def bpe(texts, merges, **options):
    alphabet = options.pop("alphabet", None) or characters(texts, options.pop("leave_out", ""))
    vocab = [*options.pop("first", []), *alphabet]
    prefix = options.get("continuing_subword_prefix") or ""
    for left, right in merges:
        vocab += [t for t in (left, right, left + right[len(prefix):]) if t not in vocab]
    vocab = list(dict.fromkeys(vocab))
    return {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
            "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, **options,
            "vocab": {t: i for i, t in enumerate(vocab)}, "merges": [list(m) for m in merges]}


MERGES = [("a", "a"), ("a", "b"), ("aa", "b"), ("b", "b"), ("t", "h"), ("th", "e"), ("w", "o"), ("wo", "r"), ("wor", "d"), ("ab", "ab"), ("aa", "aa"), ("\u00e9", "f"), (" ", " ")]
PREFIXED = [("a", "##a"), ("##a", "##b"), ("aa", "##b"), ("##b", "##b"), ("t", "##h"), ("th", "##e")]
SUFFIXED = [("a", "b"), ("a", "b</w>"), ("e", "r</w>"), ("t", "h"), ("th", "e</w>")]
BYTES = [f"<0x{b:02X}>" for b in range(256)]
SEEN_FEW = "\u00e9\u00bd\n\U0001f600\u4f60\u597d\u00a0\u0301"


def scored(pieces, shift=0.0):
    return [[p, -(i % 7) * 1.5 - 2 / (1 + len(p)) + shift] for i, p in enumerate(pieces)]


SCORED = ["<unk>", *characters(leave_out=SEEN_FEW), "the", "th", "he", "word", "wor", "or", "ab", "aab", "aba", "abab", " a", "\u2581a", "an", "ll", "ne", "ine", "line", "  "]

LETTERS = characters()
MODELS = {
    "BPE": bpe(TEXTS, MERGES),
    "BPE without some": bpe(TEXTS, MERGES, leave_out="xb " + SEEN_FEW),
    "BPE unknown": bpe(TEXTS, MERGES, leave_out="xb" + SEEN_FEW, first=["?!"], unk_token="?!"),
    "BPE unknown fused": bpe(TEXTS, MERGES, leave_out="xb" + SEEN_FEW, first=["?!"], unk_token="?!", fuse_unk=True),
    "BPE byte fallback": bpe(TEXTS, MERGES, leave_out="xb" + SEEN_FEW, first=["?!", *BYTES], unk_token="?!", byte_fallback=True),
    "BPE bytes that merge": bpe(TEXTS, [*MERGES, ("<0xC3>", "<0xA9>"), ("f", "<0xC3><0xA9>")], leave_out=SEEN_FEW, first=BYTES, byte_fallback=True),
    "BPE some bytes": bpe(TEXTS, MERGES, leave_out="xb" + SEEN_FEW, first=["?!", *BYTES[:0xE0]], unk_token="?!", byte_fallback=True, fuse_unk=True),
    "BPE whole words": bpe(TEXTS, [("w", "o"), ("r", "d"), ("wo", "rd")], first=["quick", "brown", "fox"], ignore_merges=True),
    "BPE prefixed": bpe(TEXTS, PREFIXED, alphabet=[*LETTERS, *("##" + c for c in LETTERS)], continuing_subword_prefix="##"),
    "BPE suffixed": bpe(TEXTS, SUFFIXED, alphabet=[*LETTERS, *(c + "</w>" for c in LETTERS)], end_of_word_suffix="</w>"),
    "BPE merges as text": {**bpe(TEXTS, MERGES[:-1]), "merges": [" ".join(m) for m in MERGES[:-1]]},
    "Unigram": {"type": "Unigram", "unk_id": 0, "vocab": scored(SCORED), "byte_fallback": False},
    "Unigram byte fallback": {"type": "Unigram", "unk_id": 0, "vocab": scored([*SCORED, *BYTES]), "byte_fallback": True},
    "Unigram some bytes": {"type": "Unigram", "unk_id": 0, "vocab": scored([*SCORED, *BYTES[:0xE0]]), "byte_fallback": True},
    "Unigram good scores": {"type": "Unigram", "unk_id": 3, "vocab": scored(SCORED, 12.0), "byte_fallback": False},
    "WordPiece": {"type": "WordPiece", "unk_token": "?!", "continuing_subword_prefix": "##", "max_input_chars_per_word": 12,
                  "vocab": {t: i for i, t in enumerate(["?!", *characters(leave_out=SEEN_FEW), *("##" + c for c in characters(leave_out="x" + SEEN_FEW)), "the", "##he", "##own", "qu", "##word", "word"])}},
    "WordLevel": {"type": "WordLevel", "unk_token": "?!", "vocab": {t: i for i, t in enumerate(["?!", "the", "The", "fox", "a", "12", "word", "and"])}},
}

SPACED = {"type": "Whitespace"}
SPLIT_SPACES = split({"String": " "}, "MergedWithNext")
TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "two", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [5], "tokens": ["<s>"]}, "two": {"id": "two", "ids": [6, 2], "tokens": ["a", "b"]}},
}
POST_PROCESSORS = {
    "ByteLevel": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    "Template": TEMPLATE,
    "Bert": {"type": "BertProcessing", "sep": ["</s>", 4], "cls": ["<s>", 3]},
    "Roberta": {"type": "RobertaProcessing", "sep": ["</s>", 4], "cls": ["<s>", 3], "trim_offsets": True, "add_prefix_space": True},
    "Sequence": {"type": "Sequence", "processors": [{"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}, TEMPLATE]},
}

DECODED = [["\u2581He", "llo", "\u2581\u2581wor", "\u2581ld\u2581"], ["\u0120caf", "\u00c3", "\u00a9", "\u20ac", "\u00e2\u0124"], ["He", "##llo", "##", "wor", "##ld", ".", "do", "not", "n't", "'", "s", "x ' y .", "a do not"],
           ["<0xE4>", "<0xBD>", "<0xA0>", "a", "<0xFF>", "<0xC3>", "<0x28>", "<0xEF>", "<0xBB>", "<0xBF>", "<0x+F>", "<0xGG>", "<0xe4>"], ["he</w>", "llo</w>", "</w>x", "a</w>b</w>"],
           ["h", "h", "<pad>", "e", "l", "<pad>", "l", "o", "|", "|", "w", ".", " ."], ["  a  ", " ", "a", "   ", "a b "], ["\u00e9", "\U0001f600", "e\u0301"]]
DECODERS = {
    "none": None,
    "ByteLevel": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    "ByteFallback": {"type": "ByteFallback"},
    "Fuse": {"type": "Fuse"},
    "BPE": {"type": "BPEDecoder", "suffix": "</w>"},
    "WordPiece": {"type": "WordPiece", "prefix": "##", "cleanup": True},
    "WordPiece as it is": {"type": "WordPiece", "prefix": "##", "cleanup": False},
    "Metaspace": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True},
    "Metaspace first": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": False},
    "Metaspace never": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "never", "split": True},
    "CTC": {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": True},
    "CTC as it is": {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": False},
    "Strip": {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    "Strip two": {"type": "Strip", "content": "l", "start": 2, "stop": 0},
    "Replace": {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
    "Replace Regex": {"type": "Replace", "pattern": {"Regex": "[lo]+|\\b"}, "content": "$&"},
    "Llama": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
}


def kinds():
    for name, normalizer in NORMALIZERS.items():
        parts = {"normalizer": normalizer, "pre_tokenizer": SPLIT_SPACES}
        yield f"normalizer {name}", whole(**parts, model=words_model(parts))
    for name, pre_tokenizer in PRE_TOKENIZERS.items():
        parts = {"pre_tokenizer": pre_tokenizer}
        yield f"pre-tokenizer {name}", whole(**parts, model=words_model(parts))
    for name, tokens in ADDED.items():
        for normalizer in [None, {"type": "Lowercase"}, {"type": "Strip", "strip_left": True, "strip_right": True}]:
            for pre_tokenizer in [PRE_TOKENIZERS["Metaspace first"], PRE_TOKENIZERS["ByteLevel with a prefix"]]:
                parts = {"normalizer": normalizer, "pre_tokenizer": pre_tokenizer}
                model = {"type": "Unigram", "unk_id": 0, "vocab": scored(["<unk>", *"abcdefghij", "\u2581", "\u0120", "wo", "rd"]), "byte_fallback": False}
                label = f"added tokens {name}, {normalizer and normalizer['type']}, {pre_tokenizer['type']}"
                yield label, whole(**parts, added_tokens=tokens, model=model)
    for name, model in MODELS.items():
        for label, pre_tokenizer in {"whole": None, "words": SPACED}.items():
            yield f"model {name}, {label}", whole(pre_tokenizer=pre_tokenizer, model=model)
    for name, post_processor in POST_PROCESSORS.items():
        yield f"post-processor {name}", whole(pre_tokenizer=SPACED, post_processor=post_processor, model=MODELS["WordLevel"])
    vocab = {t: i for i, t in enumerate(dict.fromkeys(["?!", *(t for tokens in DECODED for t in tokens)]))}
    for name, decoder in DECODERS.items():
        yield f"decoder {name}", whole(decoder=decoder, added_tokens=added(token("h", special=True)), model={"type": "WordLevel", "unk_token": "?!", "vocab": vocab})


def answers(name, kind):
    tokenizer = Tokenizer.from_str(json.dumps(kind))
    if name.startswith("decoder "):
        rows = [[kind["model"]["vocab"][t] for t in tokens] for tokens in DECODED]
        return {"decoded": [[ids, tokenizer.decode(ids, skip_special_tokens=True)] for ids in [*rows, [0, 9999, 1], []]]}
    special = name.startswith("post-processor ")
    return {"ids": [tokenizer.encode(text, add_special_tokens=special).ids for text in TEXTS]}


def main():
    cases = [{"name": name, "tokenizer": kind, **answers(name, kind)} for name, kind in kinds()]
    made_by = f"tokenizers {tokenizers.__version__}, tests/golden/tokenizer-kinds.py"
    lines = ",\n".join(json.dumps(case, ensure_ascii=True, separators=(",", ":")) for case in cases)
    path = pathlib.Path(__file__).parent / "tokenizer-kinds.json.gz"
    text = f'{{"made_by":{json.dumps(made_by)},\n"texts":{json.dumps(TEXTS)},\n"cases":[\n{lines}\n]}}\n'
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(len(cases), "cases", path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
