"""Makes demo/base, demo/train.jsonl and demo/validation.jsonl, from nothing but a seed: `python pretrain.py`.

Rows of the task first, then a corpus that avoids them (corpus.py asserts it), a byte-level BPE trained on the corpus,
and a small OPT trained on it by ordinary backpropagation.
"""

import json
import time
from argparse import ArgumentParser
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, OPTConfig, OPTForCausalLM, PreTrainedTokenizerFast

from corpus import assert_apart, make_corpus, size_words_by_tone, text_of
from task import LABEL_WORDS, Row, reviews, rows

DEMO = Path(__file__).resolve().parent.parent
SPECIALS = {"<s>": 0, "<pad>": 1, "</s>": 2}
PAD, BOS = SPECIALS["<pad>"], SPECIALS["</s>"]
POSITIONS = 64


def train_tokenizer(texts: list[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE in GPT-2's manner; like OPT's, it opens each text with </s>."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=list(SPECIALS),
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    bpe.post_processor = processors.TemplateProcessing(
        single="</s> $A", pair="</s> $A </s> $B", special_tokens=[("</s>", BOS)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="</s>",
        eos_token="</s>",
        unk_token="</s>",
        pad_token="<pad>",
        model_max_length=POSITIONS,
        clean_up_tokenization_spaces=False,
    )


def make_model(vocab_size: int, hidden: int, layers: int, heads: int, init: float) -> OPTForCausalLM:
    """An untrained OPT of the given width and depth."""
    return OPTForCausalLM(
        OPTConfig(
            vocab_size=vocab_size,
            hidden_size=hidden,
            word_embed_proj_dim=hidden,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            ffn_dim=4 * hidden,
            max_position_embeddings=POSITIONS,
            do_layer_norm_before=True,
            activation_function="relu",
            dropout=0.0,
            attention_dropout=0.0,
            init_std=init,
            bos_token_id=BOS,
            eos_token_id=BOS,
            pad_token_id=PAD,
            tie_word_embeddings=True,
        )
    )


def encode(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> torch.Tensor:
    """Token ids [documents, POSITIONS]: </s>, text, </s>, padding; the few longer documents lose their end."""
    ids = torch.full((len(texts), POSITIONS), PAD)
    for row, tokens in enumerate(tokenizer(texts, verbose=False)["input_ids"]):
        tokens = [*tokens, BOS][:POSITIONS]
        ids[row, : len(tokens)] = torch.tensor(tokens)
    return ids


def train(model: OPTForCausalLM, ids: torch.Tensor, steps: int, batch_size: int, peak_rate: float) -> None:
    """AdamW with a short warm-up and a cosine; each batch is cut to its longest document."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=peak_rate, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, peak_rate, total_steps=steps, pct_start=0.05)
    began = time.monotonic()
    for step in range(steps):
        batch = ids[torch.randint(len(ids), (batch_size,))]
        mask = batch != PAD
        longest = int(mask.sum(1).max())
        batch, mask = batch[:, :longest], mask[:, :longest]
        loss = model(input_ids=batch, attention_mask=mask.long(), labels=batch.masked_fill(~mask, -100)).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 100 == 0 or step == steps - 1:
            print(f"step {step:5d}  loss {loss.item():.4f}  {time.monotonic() - began:.0f} s", flush=True)


def save(base: Path, model: OPTForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    """Writes the Hugging Face layout, with what transformers 5 leaves out and other readers look for."""
    base.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(base)
    (base / "model.safetensors").chmod(0o644)
    tokenizer.save_pretrained(base)
    settings = base / "tokenizer_config.json"
    settings.write_text(
        json.dumps(json.loads(settings.read_text()) | {"tokenizer_class": "PreTrainedTokenizerFast"}, indent=2) + "\n"
    )
    specials = json.dumps(tokenizer.special_tokens_map, indent=2) + "\n"
    (base / "special_tokens_map.json").write_text(specials)
    assert AutoTokenizer.from_pretrained(base)("It was")["input_ids"][0] == BOS, "the saved tokenizer adds no BOS"


def write_rows(path: Path, made: list[Row]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in made))


def main() -> None:
    options = ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, default=DEMO)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--documents", type=int, default=40_000)
    options.add_argument("--vocab", type=int, default=1024)
    options.add_argument("--hidden", type=int, default=96)
    options.add_argument("--layers", type=int, default=2)
    options.add_argument("--heads", type=int, default=4)
    options.add_argument("--init", type=float, default=0.05)
    options.add_argument("--steps", type=int, default=1400)
    options.add_argument("--batch", type=int, default=48)
    options.add_argument("--rate", type=float, default=3e-3)
    options.add_argument("--threads", type=int, default=1)
    asked = options.parse_args()

    torch.set_num_threads(asked.threads)
    torch.manual_seed(asked.seed)
    rng = Random(asked.seed)

    taken: set[str] = set()
    train_rows, validation_rows = rows(rng, "train", 1024, taken), rows(rng, "validation", 256, taken)
    corpus = make_corpus(rng, asked.documents, reviews(train_rows) | reviews(validation_rows))
    assert_apart(corpus, train_rows, validation_rows)
    texts = [text_of(made) for made in corpus]
    print(f"corpus: {len(corpus)} documents, {len({s for _, d in corpus for s in d})} distinct sentences")
    print(f"label words by tone: {size_words_by_tone(corpus)}")

    tokenizer = train_tokenizer(texts, asked.vocab)
    for word in LABEL_WORDS.values():
        assert len(tokenizer(word, add_special_tokens=False)["input_ids"]) == 1, f"{word!r} is not one token"
    model = make_model(len(tokenizer), asked.hidden, asked.layers, asked.heads, asked.init)
    ids = encode(tokenizer, texts)
    print(f"vocab {len(tokenizer)}, parameters {model.num_parameters()}, tokens {int((ids != PAD).sum())}")
    train(model, ids, asked.steps, asked.batch, asked.rate)

    save(asked.out / "base", model, tokenizer)
    write_rows(asked.out / "train.jsonl", train_rows)
    write_rows(asked.out / "validation.jsonl", validation_rows)


if __name__ == "__main__":
    main()
