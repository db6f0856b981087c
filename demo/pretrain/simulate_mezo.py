"""MeZO (Malladi et al. 2023, algorithm 1) in plain PyTorch, to choose the demo's hyperparameters and to measure them.

    python simulate_mezo.py                     # demo/task.json's hyperparameters, three seeds, and the linear probe
    python simulate_mezo.py --rate 1e-3 ...     # others
    python simulate_mezo.py --untrained         # the control: the same from random weights

Each step draws noise z for every weight from the step's seed, measures the loss L at w + eps z and at w - eps z on one
batch, and takes w -= a z, where a = bf16(rate (L+ - L-) / (2 eps)). The stored weights change by that update alone.
The numbers are not those of any other implementation to the bit: the noise here is PyTorch's.
"""

import json
import time
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils import logging

DEMO = Path(__file__).resolve().parent.parent
LABEL_WORDS = (" great", " terrible")


@dataclass(frozen=True)
class Rows:
    """Encoded prompts: ids and mask [rows, tokens], padded on the right, and where each prompt ends."""

    ids: torch.Tensor
    mask: torch.Tensor
    last: torch.Tensor  # [rows], position of the prompt's last token
    label: torch.Tensor  # [rows], id of the label word's token

    def pick(self, which: torch.Tensor) -> "Rows":
        """The chosen rows, cut to their longest."""
        longest = int(self.last[which].max()) + 1
        return Rows(self.ids[which, :longest], self.mask[which, :longest], self.last[which], self.label[which])


def load_rows(path: Path, tokenizer: PreTrainedTokenizerFast) -> Rows:
    """Reads {"prompt", "completion"} lines."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    tokens = tokenizer([row["prompt"] for row in rows], padding=True, padding_side="right", return_tensors="pt")
    labels = tokenizer([row["completion"] for row in rows], add_special_tokens=False)["input_ids"]
    mask = tokens["attention_mask"]
    return Rows(tokens["input_ids"], mask, mask.sum(1) - 1, torch.tensor(labels)[:, 0])


def last_states(model: PreTrainedModel, rows: Rows) -> torch.Tensor:
    """Final hidden state at each prompt's last token [rows, hidden]."""
    states = model.model(input_ids=rows.ids, attention_mask=rows.mask).last_hidden_state
    return states[torch.arange(len(rows.ids)), rows.last]


def loss_of(model: PreTrainedModel, rows: Rows) -> float:
    """Mean cross-entropy of the label word over the full vocabulary."""
    return cross_entropy(model.lm_head(last_states(model, rows)), rows.label).item()


def accuracy(model: PreTrainedModel, rows: Rows, label_ids: torch.Tensor) -> float:
    """Share of rows whose more probable label word is the right one."""
    logits = model.lm_head(last_states(model, rows))[:, label_ids]
    return (label_ids[logits.argmax(1)] == rows.label).float().mean().item()


def draw_noise(count: int, seed: int, kind: str) -> torch.Tensor:
    """Noise [count] of mean 0 and variance 1: signs, or (popcount of 16 fair bits - 8) / 2."""
    generator = torch.Generator().manual_seed(seed)
    if kind == "RADEMACHER":
        return torch.randint(2, (count,), generator=generator, dtype=torch.int8).float().mul_(2).sub_(1)
    bits = torch.zeros(count)
    for _ in range(16):
        bits += torch.randint(2, (count,), generator=generator, dtype=torch.int8)
    return bits.sub_(8).div_(2)


class FlatWeights:
    """All weights as one vector, and a model that can be shown any other vector in their place."""

    def __init__(self, model: PreTrainedModel):
        parameters = list(model.parameters())
        self.stored = torch.cat([parameter.data.flatten() for parameter in parameters])
        self.shown = self.stored.clone()
        offset = 0
        for parameter in parameters:
            parameter.data = self.shown[offset : offset + parameter.numel()].view_as(parameter)
            offset += parameter.numel()

    def show(self, noise: torch.Tensor | None = None, scale: float = 0.0) -> None:
        """Has the model compute with stored + scale noise; the stored weights stay."""
        if noise is None:
            self.shown.copy_(self.stored)
        else:
            torch.add(self.stored, noise, alpha=scale, out=self.shown)


def batches(count: int, batch_size: int, steps: int, seed: int) -> list[torch.Tensor]:
    """Row numbers of each step's batch, without replacement within an epoch."""
    generator = torch.Generator().manual_seed(seed)
    epochs = -(-steps * batch_size // (count - count % batch_size))
    order = [torch.randperm(count, generator=generator)[: count - count % batch_size] for _ in range(epochs)]
    return list(torch.cat(order).split(batch_size))[:steps]


def mezo(
    model: PreTrainedModel, train: Rows, validation: Rows, label_ids: torch.Tensor, asked: Namespace, seed: int
) -> tuple[list[float], float]:
    """Fine-tunes the model; returns the accuracy before and at every `asked.every` steps, and the final loss."""
    weights = FlatWeights(model)
    curve = [accuracy(model, validation, label_ids)]
    for step, which in enumerate(batches(len(train.ids), asked.batch, asked.steps, seed), start=1):
        batch = train.pick(which)
        noise = draw_noise(len(weights.stored), seed * 1_000_003 + step, asked.noise)
        weights.show(noise, asked.epsilon)
        above = loss_of(model, batch)
        weights.show(noise, -asked.epsilon)
        below = loss_of(model, batch)
        update = torch.tensor(asked.rate * (above - below) / (2 * asked.epsilon)).bfloat16().item()
        weights.stored.add_(noise, alpha=-update)
        if step % asked.every == 0 or step == asked.steps:
            weights.show()
            curve.append(accuracy(model, validation, label_ids))
    return curve, loss_of(model, validation)


def linear_probe(model: PreTrainedModel, train: Rows, validation: Rows, positive: int) -> float:
    """Validation accuracy of logistic regression on the last hidden states, fitted to the train rows."""
    seen, unseen = last_states(model, train), last_states(model, validation)
    mean, spread = seen.mean(0), seen.std(0) + 1e-6
    seen, unseen = (seen - mean) / spread, (unseen - mean) / spread
    weight, bias = torch.zeros(seen.shape[1], requires_grad=True), torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.AdamW([weight, bias], lr=0.05, weight_decay=0.01)
    target = (train.label == positive).float()
    with torch.enable_grad():
        for _ in range(300):
            optimiser.zero_grad()
            binary_cross_entropy_with_logits(seen @ weight + bias, target).backward()
            optimiser.step()
    return ((unseen @ weight + bias > 0) == (validation.label == positive)).float().mean().item()


def load_model(base: Path, untrained: bool) -> PreTrainedModel:
    """The base, or the control: random weights of its shape."""
    if not untrained:
        return AutoModelForCausalLM.from_pretrained(base)
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base)).eval()


def arguments() -> Namespace:
    """Command line, with demo/task.json's hyperparameters as defaults."""
    task = DEMO / "task.json"
    chosen = json.loads(task.read_text())["hyperparameters"] if task.exists() else {}
    options = ArgumentParser(description=__doc__)
    options.add_argument("--demo", type=Path, default=DEMO)
    options.add_argument("--steps", type=int, default=chosen.get("steps", 600))
    options.add_argument("--batch", type=int, default=chosen.get("batchSize", 16))
    options.add_argument("--rate", type=float, default=chosen.get("learningRate", 1e-3))
    options.add_argument("--epsilon", type=float, default=chosen.get("epsilon", 1e-3))
    options.add_argument("--noise", choices=("RADEMACHER", "NORMAL"), default=chosen.get("noise", "RADEMACHER"))
    options.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options.add_argument("--untrained", action="store_true", help="start from random weights of the same shape")
    options.add_argument("--every", type=int, default=100)
    options.add_argument("--threads", type=int, default=1)
    return options.parse_args()


@torch.no_grad()
def main() -> None:
    asked = arguments()
    torch.set_num_threads(asked.threads)
    logging.disable_progress_bar()
    base = asked.demo / "base"
    tokenizer = AutoTokenizer.from_pretrained(base)
    label_ids = torch.tensor([tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in LABEL_WORDS])
    train, validation = (load_rows(asked.demo / f"{split}.jsonl", tokenizer) for split in ("train", "validation"))
    lengths = (torch.cat([train.last, validation.last]) + 2).float()
    model = load_model(base, asked.untrained)
    print(f"parameters {model.num_parameters()}")
    print(f"row tokens with label: mean {lengths.mean():.1f}, max {lengths.max():.0f}")
    print(f"linear probe {linear_probe(model, train, validation, int(label_ids[0])):.3f}")
    shares = model.lm_head(last_states(model, validation)).softmax(1)[:, label_ids].mean(0).tolist()
    print(f"zero-shot {accuracy(model, validation, label_ids):.3f}, mean probability of {LABEL_WORDS}: {shares}")
    print(f"{asked.noise} rate {asked.rate:g} eps {asked.epsilon:g} batch {asked.batch} steps {asked.steps}")
    for seed in asked.seeds:
        began = time.monotonic()
        model = load_model(base, asked.untrained)
        curve, loss = mezo(model, train, validation, label_ids, asked, seed)
        shown = " ".join(f"{point:.3f}" for point in curve)
        print(f"seed {seed}: {shown}  final loss {loss:.3f}  {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
