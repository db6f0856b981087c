"""MeZO in plain PyTorch, to compare with: Algorithm 1 of Malladi et al. 2023 on a model of OPT's shapes with random weights.

    python mezo.py --config '{"hidden_size": 64, ...}' --batch 16 --tokens 256 --labels 8 --steps 5 --replay 3
    python mezo.py --check

Needs torch and nothing else. The loop is the published one: the noise is drawn again from the step's seed for each of the
three perturbations and for the update. The forward pass uses torch's fused attention. Prints a line RESULT {...}.
"""

import argparse
import json
import statistics
import time

import torch
import torch.nn.functional as F

EPSILON, LEARNING_RATE = 1e-3, 1e-6


class Layer:
    """A decoder layer of OPT: attention and a feed-forward network, each after its layer norm."""

    def __init__(self, hidden, inner, heads, make):
        self.heads = heads
        self.norms = [(make.ones(hidden), make.zeros(hidden)) for _ in range(2)]
        self.attention = [make.linear(hidden, hidden) for _ in range(4)]
        self.first, self.second = make.linear(inner, hidden), make.linear(hidden, inner)

    def __call__(self, x):
        batch, tokens, hidden = x.shape
        y = F.layer_norm(x, (hidden,), *self.norms[0])
        q, k, v = (
            F.linear(y, *one).view(batch, tokens, self.heads, -1).transpose(1, 2) for one in self.attention[:3]
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + F.linear(mixed.transpose(1, 2).reshape(batch, tokens, hidden), *self.attention[3])
        y = F.layer_norm(x, (hidden,), *self.norms[1])
        return x + F.linear(F.relu(F.linear(y, *self.first)), *self.second)


class Maker:
    """Makes parameters and remembers them, in order."""

    def __init__(self, dtype, device):
        self.kind = {"dtype": dtype, "device": device}
        self.parameters = []

    def _keep(self, tensor):
        self.parameters.append(tensor)
        return tensor

    def ones(self, *shape):
        return self._keep(torch.ones(shape, **self.kind))

    def zeros(self, *shape):
        return self._keep(torch.zeros(shape, **self.kind))

    def normal(self, *shape):
        return self._keep(torch.empty(shape, **self.kind).normal_(0, 0.02))

    def linear(self, outputs, inputs):
        return self.normal(outputs, inputs), self.zeros(outputs)


class Model:
    def __init__(self, config, dtype, device):
        hidden, layers = config["hidden_size"], config["num_hidden_layers"]
        make = Maker(dtype, device)
        self.table = make.normal(config["vocab_size"], hidden)
        self.positions = make.normal(config["max_position_embeddings"] + 2, hidden)
        heads, inner = config["num_attention_heads"], config["ffn_dim"]
        self.layers = [Layer(hidden, inner, heads, make) for _ in range(layers)]
        self.norm = make.ones(hidden), make.zeros(hidden)
        self.parameters = make.parameters

    def loss(self, ids, labels):
        """Mean cross-entropy of the last `labels` tokens of each row; logits at every position if `labels` is None."""
        tokens = ids.shape[1]
        x = self.table[ids] + self.positions[2 : tokens + 2]
        for layer in self.layers:
            x = layer(x)
        x = F.layer_norm(x, x.shape[-1:], *self.norm)[:, :-1]
        scored = tokens - 1 if labels is None else labels
        logits = F.linear(x[:, -scored:], self.table)
        return F.cross_entropy(logits.flatten(0, 1).float(), ids[:, -scored:].flatten()).item()


def perturb(model, seed, size):
    """theta += size * z, with z drawn anew from the seed."""
    torch.manual_seed(seed)
    for parameter in model.parameters:
        parameter += size * torch.randn_like(parameter)


def step(model, seed, ids, labels):
    """One iteration of Algorithm 1. Returns the loss on the plus side."""
    perturb(model, seed, EPSILON)
    plus = model.loss(ids, labels)
    perturb(model, seed, -2 * EPSILON)
    minus = model.loss(ids, labels)
    perturb(model, seed, EPSILON)
    gradient = (plus - minus) / (2 * EPSILON)
    perturb(model, seed, -LEARNING_RATE * gradient)
    return plus


def timed(synchronise, work, count):
    """Seconds of each of `count` runs of work(k), after one that is not counted."""
    seconds = []
    for k in range(count + 1):
        synchronise()
        started = time.perf_counter()
        work(k)
        synchronise()
        seconds.append(time.perf_counter() - started)
    return {"median": statistics.median(seconds[1:]), "min": min(seconds[1:]), "samples": count}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true", help="print torch's version and the device, and end")
    parser.add_argument("--config", type=json.loads)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--labels", type=int, default=8)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--replay", type=int, default=0, help="recorded updates to apply")
    options = parser.parse_args()
    cuda = torch.cuda.is_available()
    device = "cuda" if cuda else "cpu"
    about = {"torch": torch.__version__, "device": torch.cuda.get_device_name() if cuda else "CPU"}
    if options.check:
        print("RESULT", json.dumps(about))
        return
    synchronise = torch.cuda.synchronize if cuda else lambda: None
    with torch.inference_mode():
        model = Model(options.config, getattr(torch, options.dtype), device)
        torch.manual_seed(0)
        shape = (options.batch, options.tokens)
        ids = torch.randint(options.config["vocab_size"], shape, device=device)
        losses = []
        labelled = timed(synchronise, lambda k: losses.append(step(model, k, ids, options.labels)), options.steps)
        peak = torch.cuda.max_memory_allocated() / 1e6 if cuda else None
        everywhere = timed(synchronise, lambda k: step(model, k, ids, None), options.steps)
        elements = sum(parameter.numel() for parameter in model.parameters)
        result = {
            **about,
            "parameters": elements,
            "weightsMb": sum(p.numel() * p.element_size() for p in model.parameters) / 1e6,
            "labelled": labelled,
            "everyPosition": everywhere,
            "peakMb": peak,
            "peakEveryPositionMb": torch.cuda.max_memory_allocated() / 1e6 if cuda else None,
            "lastLoss": losses[-1],
        }
        if options.replay > 0:
            replay = timed(synchronise, lambda k: perturb(model, k, 1e-9), options.replay)
            result["gigaUpdatesPerSecond"] = elements / replay["median"] / 1e9
    print("RESULT", json.dumps(result))


main()
