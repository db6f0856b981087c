"""What backpropagation learns from the rows of a task, for comparison with ours: Adam and SGD, and MeZO's loop, in torch.

    npm run -s bench -- learning --base BASE ... --out ours.json
    learning.py --ours ours.json --base BASE --train ROWS --validation ROWS [--test ROWS] --label-words good,bad --out FILE

Writes what `bench learning` writes (bench/learning.ts), so that `bench learning-chart` draws both. The rows, their tokens
(compared with those of --ours), the loss, the batch size and the way in which accuracy is judged are ours. Each run has a
process of its own, forked before torch has computed anything, so that its memory is its own.

Needs torch and transformers. It is no part of `npm test`, and no run of the service needs it.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import statistics
import sys
import time

import torch
import transformers

# Tokens in one pass of an evaluation, to bound its memory.
PASS_TOKENS = 2048


def main():
    options = parse()
    torch.set_num_threads(options.threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    task = read_task(options)
    if options.ours:
        check_tokens(task, options.ours)
    result = {
        "bench": "learning",
        "options": {"task": options.task, "inContextRows": options.in_context_rows},
        "machine": machine(),
        "device": f"torch on the processor, {options.threads} thread{'' if options.threads == 1 else 's'}",
        "rows": {"training": len(task["train"]), "validation": len(task["validation"]), "tokens": task["hash"]},
        "baselines": in_child(in_context, options, task) if options.in_context_rows > 0 else None,
        "contenders": [contender(options, task, kind, rate) for kind, rate in wanted(options)],
    }
    with open(options.out, "w") as file:
        json.dump(result, file, indent=2)
    return 0


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--base", "--train", "--validation", "--out"):
        parser.add_argument(name, required=True)
    parser.add_argument("--test")
    parser.add_argument("--label-words", type=lambda text: text.split(","), default=[" great", " terrible"])
    parser.add_argument("--task", default="the demo", help="what the page calls the task")
    parser.add_argument("--ours", help="a result of bench learning, whose tokens must be the same")
    parser.add_argument("--adam", type=rates, default=[3e-4, 1e-3, 3e-3])
    parser.add_argument("--sgd", type=rates, default=[0.01, 0.03])
    parser.add_argument("--mezo", type=rates, default=[], help="rates of MeZO's published loop")
    parser.add_argument("--seeds", type=seeds, default=[1, 2, 3, 4, 5])
    parser.add_argument("--steps", type=int, default=640, help="10 epochs of 1,024 rows in batches of 16")
    parser.add_argument("--mezo-steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--evaluations", type=int, default=20)
    parser.add_argument("--in-context-rows", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def rates(text):
    return [float(rate) for rate in text.split(",") if rate]


def seeds(text):
    first, _, last = text.partition("-")
    return list(range(int(first), int(last) + 1)) if last else [int(seed) for seed in text.split(",")]


def wanted(options):
    return [(kind, rate) for kind in ("Adam", "SGD", "MeZO") for rate in getattr(options, kind.lower())]


def machine():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    bytes_ = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": names[0] if names else "unknown",
        "cores": len(os.sched_getaffinity(0)),
        "memoryGb": round(bytes_ / 1e9),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


# Rows


def read_task(options):
    """Rows as (prompt, tokens of each candidate, index of the right one), and a hash of what is trained and evaluated."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(options.base)
    digest = hashlib.sha256()
    task = {"tokenizer": tokenizer}
    for name in ("train", "validation", "test"):
        task[name] = []
        path = getattr(options, name)
        for line in open(path, encoding="utf8") if path else []:
            if line.strip():
                task[name].append(encode(tokenizer, json.loads(line), options.label_words, digest))
    task["hash"] = digest.hexdigest()
    return task


def encode(tokenizer, row, label_words, digest):
    words = row.get("candidates", label_words)
    prompt = tokenizer(row["prompt"])["input_ids"]
    candidates = [tokenizer(word, add_special_tokens=False)["input_ids"] for word in words]
    right = words.index(row["completion"])
    scored = candidates[right] if prompt else candidates[right][1:]
    digest.update((json.dumps([prompt + candidates[right], scored], separators=(",", ":")) + "\n").encode())
    texts = {"text": row["prompt"], "word": row["completion"]}
    return {**texts, "prompt": prompt, "candidates": candidates, "right": right}


def check_tokens(task, path):
    with open(path) as file:
        ours = json.load(file)["rows"]["tokens"]
    if ours != task["hash"]:
        sys.exit(f"{path} has other tokens ({ours}) than these rows ({task['hash']}): other files, words or tokenizer.")
    print(f"the same tokens as {os.path.basename(path)}: {ours}", file=sys.stderr)


# Losses


def losses(model, sequences):
    """The loss of each scored token, in nats, for sequences of (prompt, completion)."""
    longest = max(len(prompt) + len(more) for prompt, more in sequences)
    ids = torch.zeros(len(sequences), longest, dtype=torch.long)
    rows, positions, targets = [], [], []
    for row, (prompt, more) in enumerate(sequences):
        ids[row, : len(prompt) + len(more)] = torch.tensor(prompt + more)
        rows += [row] * len(more)
        positions += [len(prompt) + i - 1 for i in range(len(more))]
        targets += more
    # What follows a sequence is not seen: attention is causal. Only scored tokens go through the output head, as in ours.
    hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state[rows, positions]
    logits = model.get_output_embeddings()(hidden)
    return torch.nn.functional.cross_entropy(logits, torch.tensor(targets), reduction="none")


@torch.no_grad()
def evaluate(model, rows):
    """Accuracy by the candidates' mean log-likelihoods, and the mean loss of the right ones' tokens."""
    sequences = [(row["prompt"], more) for row in rows for more in row["candidates"]]
    values = []
    for group in groups(sequences):
        flat = losses(model, group).tolist()
        for _, more in group:
            values.append(flat[: len(more)])
            flat = flat[len(more) :]
    hits, right = 0, []
    for row in rows:
        own, values = values[: len(row["candidates"])], values[len(row["candidates"]) :]
        means = [statistics.fmean(one) for one in own]
        hits += min(means) == means[row["right"]] and means.count(min(means)) == 1
        right += own[row["right"]]
    return {"accuracy": hits / len(rows), "loss": statistics.fmean(right)}


def groups(sequences):
    group, tokens = [], 0
    for prompt, more in sequences:
        length = len(prompt) + len(more)
        if group and tokens + length > PASS_TOKENS:
            yield group
            group, tokens = [], 0
        group.append((prompt, more))
        tokens += length
    yield group


# Runs


def contender(options, task, kind, rate):
    runs = [in_child(run, options, task, kind, rate, seed) for seed in options.seeds]
    name = f"MeZO's loop in torch, {rate:g}" if kind == "MeZO" else f"{kind} by backpropagation, {rate:g}"
    for one in runs:
        shown = {**one, "points": one["points"][-1]}
        print(f"{name}: {json.dumps(shown)}", file=sys.stderr)
    return {"name": name, "settings": {"learningRate": rate}, "runs": runs}


def run(options, task, kind, rate, seed):
    clock = Clock()
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_pretrained(options.base, dtype=torch.float32).eval()
    step = mezo(model, rate, seed) if kind == "MeZO" else backpropagation(model, kind, rate)
    steps = options.mezo_steps if kind == "MeZO" else options.steps
    every = max(1, steps // options.evaluations)
    clock.mark(True)
    loaded, saved, peak = memory("VmRSS"), activations(model, kind, options, task), 0
    points, best = [], None
    for count in range(steps + 1):
        if count > 0:
            step([labelled(row) for row in batch(task["train"], options.batch, seed, count)])
            clock.mark(True)
            peak = max(peak, memory("VmHWM"))
        if count % every == 0 or count == steps:
            point = {"step": count, "passes": count * (2 if kind == "MeZO" else 3), **clock.read()}
            points.append({**point, **evaluate(model, task["validation"])})
            key = (points[-1]["accuracy"], -points[-1]["loss"])
            if best is None or key > best[0]:
                best = (key, {name: value.clone() for name, value in model.state_dict().items()})
            reset_peak()
            clock.mark(False)
    model.load_state_dict(best[1])
    return {
        "seed": seed,
        "learningRate": rate,
        "steps": steps,
        "points": points,
        "test": evaluate(model, task["test"])["accuracy"] if task["test"] else None,
        "memory": {"loaded": loaded, "peak": peak, "activations": saved},
        "ended": "DONE",
    }


def batch(rows, size, seed, count):
    """Without replacement within an epoch, as ours, but in another order."""
    first = (count - 1) * size
    chosen = []
    for drawn in range(first, first + size):
        order = list(range(len(rows)))
        random.Random(f"{seed} {drawn // len(rows)}").shuffle(order)
        chosen.append(rows[order[drawn % len(rows)]])
    return chosen


def labelled(row):
    return row["prompt"], row["candidates"][row["right"]]


def backpropagation(model, kind, rate):
    optimiser = {"Adam": torch.optim.Adam, "SGD": torch.optim.SGD}[kind](model.parameters(), lr=rate)

    def step(sequences):
        optimiser.zero_grad()
        losses(model, sequences).mean().backward()
        optimiser.step()

    return step


def mezo(model, rate, seed, epsilon=1e-3):
    """The published loop: weights are moved in place, along normal noise that is drawn again each time."""
    parameters = list(model.parameters())
    count = 0

    def move(scale):
        torch.manual_seed(seed * 1_000_003 + count)
        for weights in parameters:
            weights.data.add_(torch.normal(0.0, 1.0, weights.shape), alpha=scale)

    @torch.no_grad()
    def step(sequences):
        nonlocal count
        move(epsilon)
        plus = losses(model, sequences).mean().item()
        move(-2 * epsilon)
        minus = losses(model, sequences).mean().item()
        move(epsilon)
        move(-rate * (plus - minus) / (2 * epsilon))
        count += 1

    return step


# Baselines


def in_context(options, task):
    """With as many training rows before each prompt as fit, and the base model alone."""
    model = transformers.AutoModelForCausalLM.from_pretrained(options.base, dtype=torch.float32).eval()
    examples = random.Random(0).sample(task["train"], min(options.in_context_rows, len(task["train"])))
    room = model.config.max_position_embeddings
    longer = [with_examples(task["tokenizer"], row, examples, room) for row in task["validation"]]
    return {
        "base": None,
        "inContext": evaluate(model, longer)["accuracy"],
        "linearProbe": None,
        "test": None,
    }


def with_examples(tokenizer, row, examples, room):
    longest = max(len(more) for more in row["candidates"])
    for first in range(len(examples) + 1):
        text = "".join(f"{one['text']}{one['word']}\n\n" for one in examples[first:]) + row["text"]
        ids = tokenizer(text)["input_ids"]
        if len(ids) + longest <= room:
            return {**row, "prompt": ids}
    return row


# Measuring


def in_child(function, *arguments):
    """What a function returns in a process of its own."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=lambda: theirs.send(function(*arguments)))
    child.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        sys.exit("a run failed; its error is above")
    finally:
        child.join()


class Clock:
    """Wall and processor seconds that count, between marks."""

    def __init__(self):
        self.total = [0.0, 0.0]
        self.last = (time.perf_counter(), time.process_time())

    def mark(self, counts):
        now = (time.perf_counter(), time.process_time())
        if counts:
            self.total = [sum_ + a - b for sum_, a, b in zip(self.total, now, self.last)]
        self.last = now

    def read(self):
        return {"seconds": self.total[0], "cpuSeconds": self.total[1]}


def memory(field):
    """Resident MB of this process: VmRSS now, VmHWM at the peak since reset_peak."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 / 1e6 for line in file if line.startswith(f"{field}:"))


def reset_peak():
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def activations(model, kind, options, task):
    """MB that the forward pass of a batch keeps for its backward pass, without the weights; 0 for MeZO."""
    if kind == "MeZO":
        return 0
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    rows = batch(task["train"], options.batch, 1, 1)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = losses(model, [labelled(row) for row in rows]).mean()
    del loss
    return sum(kept.values()) / 1e6


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"
    sys.exit(main())
