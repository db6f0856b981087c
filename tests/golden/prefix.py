"""Writes hf/MODEL/prefix, a random prefix as peft saves it, and prefix.json, what peft computes behind it: python tests/golden/prefix.py"""

import json
import pathlib

import numpy
import torch
from peft import PeftModel, PrefixTuningConfig, get_peft_model
from transformers import AutoModelForCausalLM

LENGTH = 4
here = pathlib.Path(__file__).resolve().parent / "hf"
everything = {}

for folder in sorted(here.iterdir()):
    if not (folder / "expected.json").exists():
        continue
    expected = json.loads((folder / "expected.json").read_text())
    if expected["kind"] != "causal_lm":
        continue
    load = lambda: AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    torch.manual_seed(len(folder.name))
    model = get_peft_model(load(), PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=LENGTH))
    with torch.no_grad():
        model.prompt_encoder["default"].embedding.weight.mul_(0.7)
    model.save_pretrained(folder / "prefix")
    (folder / "prefix" / "README.md").unlink(missing_ok=True)
    config = folder / "prefix" / "adapter_config.json"
    config.write_text(config.read_text().replace(json.dumps(str(folder)), json.dumps("..")))
    (folder / "prefix" / "adapter_model.safetensors").chmod(0o644)

    model = PeftModel.from_pretrained(load(), folder / "prefix").eval()
    nll, logits = [], []
    for row, length in enumerate(expected["lengths"]):
        ids = torch.tensor([expected["input_ids"][row][:length]])
        with torch.no_grad():
            out = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0].double().numpy()
        for position in range(1, length):
            label = expected["labels"][row][position]
            if label < 0:
                continue
            scores = out[position - 1]
            peak = scores.max()
            nll.append(float(peak + numpy.log(numpy.exp(scores - peak).sum()) - scores[label]))
        logits.append({"row": row, "pos": length - 1, "values": [float(value) for value in out[-1]]})
    everything[folder.name] = {"nll": nll, "logits": logits}

(here.parent / "prefix.json").write_text(json.dumps(everything))
