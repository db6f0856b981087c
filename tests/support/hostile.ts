/** Tokenizers and chat templates made to harm, as changes to the files of a good model. */
import type { Task } from "../../sandbox/messages.ts";
import type { Work } from "../../sandbox/sandbox.ts";
import { Sandbox } from "../../sandbox/sandbox.ts";

/** Waits less long for what never ends. */
export class HastySandbox extends Sandbox {
  calls = 0;

  override run<T extends Task>({ limits, ...work }: Work<T>) {
    this.calls++;
    return super.run({ ...work, limits: { ...limits, stalledMs: 700 } });
  }
}

export const endlessTemplate =
  "{% for i in range(100000) %}{% for j in range(100000) %}{{ j }}{% endfor %}{% endfor %}";

export const hostile: Readonly<
  Record<string, (good: Record<string, unknown>) => Readonly<Record<string, object | string>>>
> = {
  "a regular expression that backtracks": (good) => ({
    "tokenizer.json": {
      ...good,
      pre_tokenizer: { type: "Split", pattern: { Regex: "(a+)+$" }, behavior: "Isolated", invert: false },
    },
  }),
  "a template without end": () => ({
    "chat_template.jinja": endlessTemplate,
  }),
  "a template that lists a billion numbers": () => ({
    "chat_template.jinja": "{% for i in range(1000000000) %}x{% endfor %}",
  }),
  "a post-processor that is a number": (good) => ({ "tokenizer.json": { ...good, post_processor: 7 } }),
  "a vocabulary without tokens": (good) => ({
    "tokenizer.json": { ...good, model: { type: "BPE", vocab: 3, merges: [] } },
  }),
};
