"""The memory of a training step in torch, beyond the loaded weights: backpropagation with Adam and SGD, MeZO's loop.

    memory.py MODEL [--batch 16] [--tokens 128] [--labels 8] [--threads 1]

Prints a Markdown table. MODEL is a folder that transformers loads; rows are random tokens, as those of `bench step` are. Only
the labelled tokens go through the output head, as in ours.
"""

import argparse
import os
import sys

import torch
import transformers
from learning import backpropagation, in_child, memory, mezo, reset_peak


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    for name, value in (("batch", 16), ("tokens", 128), ("labels", 8), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    print("| MB | weights | a step, beyond them |\n|---|---|---|")
    for kind in ("Adam", "SGD", "MeZO"):
        weights, beyond = in_child(measure, options, kind)
        print(f"| {kind} | {weights:.0f} | {beyond:.0f} |", flush=True)
    return 0


def measure(options, kind):
    model = transformers.AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).eval()
    step = mezo(model, 1e-6, 1) if kind == "MeZO" else backpropagation(model, kind, 1e-6)
    loaded = memory("VmRSS")
    reset_peak()
    ids = torch.randint(0, model.config.vocab_size, (options.batch, options.tokens)).tolist()
    split = options.tokens - options.labels
    for _ in range(2):
        step([(row[:split], row[split:]) for row in ids])
    weights = sum(weight.nbytes for weight in model.parameters()) / 1e6
    return weights, memory("VmHWM") - loaded


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"
    sys.exit(main())
