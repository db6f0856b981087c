"""Loads rebuilt folders with transformers and compares logits and greedy text with Steplog's. run.ts starts it.

    compare.py cases.json                what run.ts describes; exit code 1 when anything differs
    compare.py --halve FOLDER OUT        saves a causal model in float16
    compare.py --check                   exit code 1, and what is missing, where it cannot run
    compare.py --python PATH ...         the same with another Python than the one it runs in
"""

import argparse
import array
import json
import os
import sys

TOLERANCE = 1e-4


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--halve", nargs=2, metavar=("FOLDER", "OUT"))
    parser.add_argument("cases", nargs="?")
    options = parser.parse_args()
    if options.python:
        place = sys.argv.index(next(arg for arg in sys.argv if arg.startswith("--python")))
        taken = 1 if "=" in sys.argv[place] else 2
        rest = sys.argv[1:place] + sys.argv[place + taken :]
        os.execvp(options.python, [options.python, os.path.abspath(__file__), *rest])
    missing = what_is_missing()
    if missing:
        sys.exit(f"{sys.executable} lacks {missing}: pip install torch transformers")
    if options.check:
        return 0
    os.environ["HF_HUB_OFFLINE"] = "1"
    if options.halve:
        return halve(*options.halve)
    with open(options.cases) as file:
        return compare_all(json.load(file))


def what_is_missing():
    return " and ".join(name for name in ("torch", "transformers") if not can_import(name))


def can_import(name):
    try:
        __import__(name)
    except ImportError:
        return False
    return True


def halve(folder, out):
    from transformers import AutoModelForCausalLM

    AutoModelForCausalLM.from_pretrained(folder).half().save_pretrained(out)
    return 0


def compare_all(cases):
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    print(f"transformers {transformers.__version__}, torch {torch.__version__}")
    failed = 0
    with_peft = can_import("peft")
    if not with_peft:
        adapters = [case for case in cases if case["adapter"]]
        cases = [case for case in cases if not case["adapter"]]
        print(f"\n*** SKIPPED: {len(adapters)} adapters were not loaded: pip install peft\n", file=sys.stderr)
        failed += bool(os.environ.get("CI"))
    for case in cases:
        problems, difference, change = compare(case)
        failed += bool(problems)
        verdict = "; ".join(problems) if problems else "ok"
        print(f"{case['name']:<32} difference {difference:.1e}, from the base {change:.1e}: {verdict}")
    print(f"{len(cases) - failed} of {len(cases)} folders are what transformers computes")
    return 1 if failed else 0


def compare(case):
    """What is wrong with a rebuilt folder, how far its logits are from ours, and from those of its base."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer, GenerationConfig

    kind = AutoModelForMaskedLM if case["masked"] else AutoModelForCausalLM
    problems = []

    unsaid = kind.from_pretrained(case["folder"])
    if not case["adapter"] and str(unsaid.dtype) != f"torch.{case['dtype']}":
        problems.append(f"loaded as {unsaid.dtype} instead of {case['dtype']}")

    exact = {"dtype": torch.float32, "attn_implementation": "eager"}
    model, loading = kind.from_pretrained(case["folder"], output_loading_info=True, **exact)
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        if loading.get(what):
            problems.append(f"{what}: {sorted(map(str, loading[what]))}")

    if case["adapter"]:
        model, warned = with_adapter(model, case["adapter"])
        problems += warned

    ours = read_floats(case["logits"])
    theirs = logits_of(model, case["sequences"])
    if len(ours) != len(theirs):
        return [*problems, f"{len(ours)} logits instead of {len(theirs)}"], float("nan"), float("nan")
    difference = (ours - theirs).abs().max().item()
    if not difference <= TOLERANCE:
        problems.append(f"logits differ by more than {TOLERANCE}")
    for wanted in case["greedy"]:
        tokens = greedy(model, wanted["prompt"], wanted["asked"])
        if tokens != wanted["tokens"]:
            problems.append(f"writes {tokens} after {wanted['prompt']} instead of {wanted['tokens']}")
    base = logits_of(kind.from_pretrained(case["base"], **exact), case["sequences"])
    change = (theirs - base).abs().max().item()
    if not change > 100 * TOLERANCE:
        problems.append("the fine-tune changed next to nothing, so that this compares nothing")

    if case["tokens"]:
        tokenizer = AutoTokenizer.from_pretrained(case["folder"])
        for text, ids in ((entry["text"], entry["ids"]) for entry in case["tokens"]):
            if tokenizer(text)["input_ids"] != ids:
                problems.append(f"other tokens of {text!r}")
        GenerationConfig.from_pretrained(case["folder"])
    return problems, difference, change


def with_adapter(model, folder):
    """The model as peft loads its adapter, and what peft warned of: tensors that it did not find a place for, or miss."""
    import warnings

    from peft import PeftModel

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        adapted = PeftModel.from_pretrained(model, folder)
    return adapted, [str(warning.message) for warning in caught if "adapter" in str(warning.message)]


def read_floats(path):
    import torch

    values = array.array("f")
    with open(path, "rb") as file:
        values.frombytes(file.read())
    return torch.tensor(values)


def logits_of(model, sequences):
    import torch

    model.eval()
    with torch.no_grad():
        return torch.cat([model(torch.tensor([ids])).logits.flatten() for ids in sequences])


def greedy(model, prompt, asked):
    """The likeliest tokens after a prompt, as transformers' own generate writes them."""
    import torch

    ids = torch.tensor([prompt])
    written = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=asked)
    return written[0, len(prompt) :].tolist()


if __name__ == "__main__":
    sys.exit(main())
