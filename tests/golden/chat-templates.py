"""What transformers makes of conversations: python tests/golden/chat-templates.py > tests/golden/chat-templates.json

Templates in the manner of model families, over the tokenizers in tests/golden/tokenizers.
"""

import json
import pathlib

import transformers

TURNS = "{% for m in messages %}"
TEMPLATES = {
    "bytelevel-qwen2": [
        (
            "chatml",
            "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou help.<|im_end|>\n{% endif %}\n"
            + TURNS
            + "\n    {%- if m.role == 'assistant' %}\n"
            + "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
            + "    {%- else %}\n<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>\n    {%- endif %}\n"
            + "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
        ),
        (
            "thinking in the last turn alone",
            TURNS
            + "<|im_start|>{{ m.role }}\n"
            + "{% if m.role == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}"
            + "{{ m.content }}<|im_end|>\n{% endfor %}",
        ),
    ],
    "bytelevel-llama3": [
        (
            "headers",
            "{{ bos_token }}{% set ns = namespace(n=0) %}"
            + TURNS
            + "{% set ns.n = ns.n + 1 %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n"
            + "{{ m['content'] | trim }}<|eot_id|>{% endfor %}",
        ),
    ],
    "spm-gemma": [
        (
            "model turns",
            "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('No system role here') }}{% endif %}"
            + TURNS
            + "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
            + "{{ raise_exception('Roles must take turns') }}{% endif %}"
            + "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}<end_of_turn>\n{% endfor %}",
        ),
    ],
    "spm-llama": [
        (
            "instructions",
            TURNS
            + "{% if m.role == 'user' %}{{ bos_token + '[INST] ' + m.content + ' [/INST]' }}"
            + "{% elif m.role == 'assistant' %}{{ ' ' + m.content + ' ' + eos_token }}{% endif %}{% endfor %}",
        ),
    ],
}
CONVERSATIONS = [
    [("user", "How was the soup?"), ("assistant", "It was stale.")],
    [("system", "Be brief."), ("user", "Hello"), ("assistant", "Hi!"), ("user", "And the tea?"), ("assistant", "Great \u2013 na\u00efve \U0001f375")],
    [("user", "  spaces  "), ("assistant", "  kept or not  "), ("user", "a\n\nb"), ("assistant", "c\n"), ("user", "x")],
    [("user", "Say it again"), ("assistant", "Say it again"), ("user", "Say it again"), ("assistant", "Say it again")],
]

cases = []
for kind, templates in TEMPLATES.items():
    folder = pathlib.Path(__file__).parent / "tokenizers" / kind
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for name, template in templates:
        for turns in CONVERSATIONS:
            messages = [{"role": role, "content": content} for role, content in turns]
            try:
                text = tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False)
                ids = tokenizer.apply_chat_template(messages, chat_template=template, tokenize=True, return_dict=False)
                case = {"text": text, "ids": list(ids)}
            except Exception as error:
                case = {"error": str(error)}
            cases.append({"tokenizer": kind, "name": name, "template": template, "messages": messages, **case})
print(json.dumps({"transformers": transformers.__version__, "cases": cases}, indent=1))
