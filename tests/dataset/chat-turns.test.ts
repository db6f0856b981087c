/** Where a conversation is scored, and what finding that costs. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { labelSpans } from "../../dataset/chat-labels.ts";
import { ChatTemplate } from "../../dataset/chat.ts";
import type { Message } from "../../dataset/message.ts";
import type { Tokenizer } from "../../dataset/tokenizer.ts";
import { loadTokenizer } from "../../dataset/tokenizer.ts";
import { golden } from "../support/models.ts";

interface Case {
  readonly tokenizer: string;
  readonly name: string;
  readonly template: string;
}

const { cases } = JSON.parse(readFileSync(golden("chat-templates.json"), "utf8")) as { cases: Case[] };
const templates = [...new Map(cases.map((one) => [one.name, one])).values()];

/** Turns of the user and the assistant in turn. */
function talk(turns: number): Message[] {
  const words = ["Say it again", "It was stale.\n", " spaces ", "Hi! \u{1f375}", "a\n\nb", "12 + 1 = 13", "</s", "x"];
  return Array.from({ length: turns }, (_, i) => ({
    role: i % 2 === 0 ? "user" : "assistant",
    content: words[(i * 7 + (i >> 3)) % words.length] ?? "",
  }));
}

/** The plain version: every border by tokenising all the text before it. */
function plainLabels(
  tokenizer: Tokenizer,
  text: string,
  ids: readonly number[],
  spans: readonly { start: number; end: number }[],
) {
  const labels = ids.map(() => -100);
  const before = (border: number) => {
    const alone = tokenizer.encodeMore(text.slice(0, border));
    const differs = alone.findIndex((id, i) => id !== ids[i]);
    return { shared: differs < 0 ? alone.length : differs, whole: differs < 0 };
  };
  for (const { start, end } of spans) {
    const { shared, whole } = before(end);
    const after = whole ? shared : shared + 1;
    const last = tokenizer.isSpecial(ids[after] ?? -1) ? after + 1 : after;
    for (let i = before(start).shared; i < last; i++) labels[i] = ids[i] ?? -100;
  }
  return labels;
}

describe.each(templates)("under the template $name of $tokenizer", async ({ tokenizer: kind, template, name }) => {
  const tokenizer = await loadTokenizer(golden("tokenizers", kind));
  const chat = new ChatTemplate(template, { bos_token: "<s>", eos_token: "</s>" });

  test("tokens are scored as if each border were found from the beginning", () => {
    const messages = talk(24);
    const text = chat.write({ messages });
    const spans = chat.locate(text, { messages });
    expect(spans).toHaveLength(12);
    const said = messages
      .filter(({ role }) => role === "assistant")
      .map(({ content }) => (typeof content === "string" ? content : ""));
    const written = name === "headers" || name === "model turns" ? said.map((content) => content.trim()) : said;
    expect(spans.map(({ start, end }) => text.slice(start, end))).toStrictEqual(written);
    const ids = tokenizer.encodeMore(text);
    expect(labelSpans(tokenizer, text, ids, spans).labels).toStrictEqual(plainLabels(tokenizer, text, ids, spans));
  });

  test("many turns are rendered and tokenised about twice", () => {
    const messages = talk(200);
    const text = chat.write({ messages });
    const spans = chat.locate(text, { messages });
    let tokenised = 0;
    const counting: Tokenizer = {
      ...tokenizer,
      encodeMore(part) {
        tokenised += part.length;
        return tokenizer.encodeMore(part);
      },
    };
    labelSpans(counting, text, tokenizer.encodeMore(text), spans);
    expect(tokenised).toBeLessThan(3 * text.length);
  });
});

describe("turns under a template that rewrites them", () => {
  const talks: Message[] = [
    { role: "user", content: "Hello" },
    { role: "assistant", content: "Hi" },
  ];
  const spansOf = (template: string, messages: readonly Message[]) => {
    const chat = new ChatTemplate(template, {});
    const text = chat.write({ messages });
    return chat.locate(text, { messages }).map(({ start, end }) => text.slice(start, end));
  };

  test("are found between what stays the same", () => {
    const upper = "{% for m in messages %}[{{ m.role }}]{{ m.content | upper }}.{% endfor %}";
    expect(spansOf(upper, talks)).toStrictEqual(["HI"]);
  });

  test("are refused by turn where the text around them changes, and at once where there are many", () => {
    const shouting = "{{ messages[1].content | length }}{% for m in messages %}{{ m.content }}{% endfor %}";
    const refusal = expect.objectContaining({
      code: "MODEL_UNSUPPORTED",
      issues: [{ field: "messages.1.content", message: expect.stringContaining("cannot be located") as string }],
    }) as Error;
    expect(() => spansOf(shouting, talks)).toThrow(refusal);
    expect(() =>
      spansOf(
        shouting,
        talk(2_000).map((message) => ({ ...message, content: "word ".repeat(200) })),
      ),
    ).toThrow(refusal);
  });

  test("are refused where they have the characters that mark them", () => {
    const chat = new ChatTemplate("{% for m in messages %}{{ m.content }}{% endfor %}", {});
    expect(() => chat.write({ messages: [{ role: "assistant", content: "\ufdd00\ufdd1" }] })).toThrow(/U\+FDD0/u);
  });
});

describe("reasoning in the content", () => {
  const said = "<think>\nseven is not even\n</think>\n\nYes";
  const messages: Message[] = [
    { role: "user", content: "Is seven odd?" },
    { role: "assistant", content: said },
    { role: "user", content: "And nine?" },
    { role: "assistant", content: said.replace("seven", "nine") },
  ];
  const spansOf = (template: string, turns: readonly Message[]) => {
    const chat = new ChatTemplate(template, {});
    const text = chat.write({ messages: turns });
    return chat.locate(text, { messages: turns }).map(({ start, end }) => text.slice(start, end));
  };
  const plain = "{% for m in messages %}[{{ m.role }}]{{ m.content }}</s>{% endfor %}";
  const trimmed = "{% for m in messages %}[{{ m.role }}]{{ m.content | trim }}</s>{% endfor %}";
  const answerAlone =
    "{% for m in messages %}[{{ m.role }}]{{ m.content.split('</think>')[-1].strip() }}</s>{% endfor %}";
  const apart =
    "{% for m in messages %}{% set why = '' %}{% set said = m.content %}{% if '</think>' in said %}" +
    "{% set why = said.split('</think>')[0].split('<think>')[-1].strip('\\n') %}" +
    "{% set said = said.split('</think>')[-1].lstrip('\\n') %}{% endif %}[{{ m.role }}]" +
    "{% if loop.last %}<think>\n{{ why }}\n</think>\n\n{% endif %}{{ said }}</s>{% endfor %}";

  test.each([
    ["as it is", plain, [said, said.replace("seven", "nine")]],
    ["without white space around it", trimmed, [said, said.replace("seven", "nine")]],
    ["without the reasoning", answerAlone, ["Yes", "Yes"]],
    ["with the reasoning of the last turn alone", apart, ["Yes", said.replace("seven", "nine")]],
  ])("is scored as the template writes it: %s", (_, template, spans) => {
    expect(spansOf(template, messages)).toStrictEqual(spans);
  });

  test("may have no reasoning, no answer, no first tag or a second end", () => {
    const one = (content: string): Message[] => [...messages.slice(0, 1), { role: "assistant", content }];
    expect(spansOf(apart, one("<think>\n\n</think>\n\nYes"))).toStrictEqual(["<think>\n\n</think>\n\nYes"]);
    expect(spansOf(apart, one("<think>\nwhy\n</think>"))).toStrictEqual(["<think>\nwhy\n</think>\n\n"]);
    expect(spansOf(apart, one("why\n</think>\n\nYes"))).toStrictEqual(["why\n</think>\n\nYes"]);
    expect(spansOf(apart, one("Yes"))).toStrictEqual(["Yes"]);
    expect(spansOf(plain, one("a</think>b</think>c"))).toStrictEqual(["a</think>b</think>c"]);
  });
});
