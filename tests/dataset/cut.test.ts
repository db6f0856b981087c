/** Prompts that are cut so that their rows fit a model. */
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { encodeRow, encodeStartOf, promptCut } from "../../dataset/encode.ts";
import { checkRowsFit, fitRow } from "../../dataset/fit.ts";
import type { ChatRow, Row, TextRow } from "../../dataset/jsonl.ts";
import type { Tokenizer } from "../../dataset/tokenizer.ts";
import { loadTokenizer } from "../../dataset/tokenizer.ts";
import { choiceEncoder } from "../../engine/objective/choices.ts";
import { golden, scratch } from "../support/models.ts";

const llama = await loadTokenizer(golden("tokenizers/spm-llama"));
const gpt2 = await loadTokenizer(golden("tokenizers/bytelevel-gpt2"));
const words = "the soup was stale and the bread was good but the wine was the best of all that we had";
const row: TextRow = { prompt: `${words}. It was`, completion: " great" };

async function* numbered(...rows: Row[]) {
  for (const [index, one] of rows.entries()) yield { line: index + 1, row: one };
}

describe.each([
  ["spm-llama", llama],
  ["bytelevel-gpt2", gpt2],
])("a row of text, with %s", (_, tokenizer) => {
  const whole = encodeRow(tokenizer, row);
  const special = tokenizer.isSpecial(whole.ids[0] ?? -1) ? 1 : 0;
  const cut = (truncate: "START" | "END", room: number) => [
    ...encodeRow(tokenizer, row, "causal", { room, truncate }).ids,
  ];

  test("loses the first or the last tokens of its prompt, and no more than it must", () => {
    const ids = [...whole.ids];
    const { length } = tokenizer.encodeStart(row.prompt);
    for (const excess of [1, 5]) {
      const room = ids.length - excess;
      expect(cut("START", room)).toStrictEqual([...ids.slice(0, special), ...ids.slice(special + excess)]);
      expect(cut("END", room)).toStrictEqual([...ids.slice(0, length - excess), ...ids.slice(length)]);
    }
    expect(cut("START", ids.length)).toStrictEqual(ids);
  });

  test("keeps what is scored, and a token to predict it from, or is refused", () => {
    const { length } = whole.targets;
    for (const truncate of ["START", "END"] as const) {
      const least = encodeRow(tokenizer, row, "causal", { room: length + 1, truncate });
      expect([least.ids.length, [...least.targets]]).toStrictEqual([length + 1, [...whole.targets]]);
      const bounds = { contextLength: length, truncate };
      const { issues } = fitRow({ line: 7, row }, { tokenizer, bounds, labelWords: [] });
      expect(issues).toStrictEqual([
        { line: 7, message: expect.stringMatching(/cannot be cut by so much: what is scored stays$/u) as string },
      ]);
    }
  });
});

test("every candidate has the same cut prompt, and the longest one fits", () => {
  const candidates = [" great", " a really terrible thing that nobody wants"];
  const bounds = { contextLength: 24, taken: 4, truncate: "START" as const };
  const settings = {
    tokenizer: gpt2,
    kind: "causal" as const,
    labelWords: candidates,
    calibrationPrompt: null,
    bounds,
  };
  const lengths = candidates.map((word) => gpt2.encodeMore(word).length);
  const choice = choiceEncoder(settings)(row);
  const prompts = choice?.rows.map(({ ids }, i) => ids.slice(0, ids.length - (lengths[i] ?? 0)));
  expect(prompts?.[0]).toStrictEqual(prompts?.[1]);
  expect(choice?.rows.map(({ ids }) => ids.length)).toStrictEqual([20 - (lengths[1] ?? 0) + (lengths[0] ?? 0), 20]);
  // The prompt of a generated answer, and the row itself, are cut alike.
  const cut = promptCut(gpt2, row, bounds, candidates);
  expect(encodeStartOf(gpt2, row.prompt, cut)).toStrictEqual(prompts?.[0]);
  const { encoded } = fitRow({ line: 1, row }, { tokenizer: gpt2, bounds, labelWords: candidates });
  expect(encoded?.ids).toStrictEqual(choice?.rows[0]?.ids);
});

test("a masked model's text keeps its mask and the special tokens around it", async () => {
  const tokenizer = await loadTokenizer(golden("tokenizers/bytelevel-roberta"));
  const cloze = { prompt: `${words}. It was<mask>, they said on the way home`, completion: " read" };
  const whole = [...encodeRow(tokenizer, cloze, "masked").ids];
  const mask = whole.indexOf(tokenizer.mask?.id ?? -1);
  const ids = (truncate: "START" | "END", excess: number) => [
    ...encodeRow(tokenizer, cloze, "masked", { room: whole.length - excess, truncate }).ids,
  ];
  expect(ids("START", 3)).toStrictEqual([whole[0], ...whole.slice(4)]);
  expect(ids("END", 3)).toStrictEqual([...whole.slice(0, -4), whole.at(-1)]);
  expect(ids("START", mask - 1)).toStrictEqual([whole[0], ...whole.slice(mask)]);
  expect(ids("START", mask)).toStrictEqual(whole);
});

test("rows of tokens lose tokens before the first scored one", () => {
  const tokens = { input_ids: [1, 2, 3, 4, 5, 6], labels: [-100, -100, -100, 4, -100, 6] };
  const ids = (truncate: "START" | "END", room: number) => [
    ...encodeRow(null, tokens, "causal", { room, truncate }).ids,
  ];
  expect(ids("START", 4)).toStrictEqual([3, 4, 5, 6]);
  expect(ids("END", 4)).toStrictEqual([1, 4, 5, 6]);
  expect(ids("END", 3)).toStrictEqual([1, 2, 3, 4, 5, 6]);
});

describe("a conversation", async () => {
  const template = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}";
  const turn = (role: "system" | "user" | "assistant", content: string) => ({ role, content });
  const talk: ChatRow = {
    messages: [
      turn("system", "Be brief."),
      ...[1, 2, 3, 4].flatMap((n) => [
        turn("user", `Question ${n}? ${words}`),
        turn("assistant", `Answer ${n}. ${words}`),
      ]),
      turn("user", "And now? Thanks."),
    ],
  };
  const withoutPairs = (...left: number[]) => ({
    messages: talk.messages.filter((_, index) => !left.includes(Math.ceil(index / 2))),
  });

  async function withTemplate(): Promise<Tokenizer> {
    const folder = join(await scratch(), "model");
    await cp(golden("tokenizers/bytelevel-qwen2"), folder, { recursive: true });
    const path = join(folder, "tokenizer_config.json");
    const config = JSON.parse(await readFile(path, "utf8")) as object;
    await writeFile(path, JSON.stringify({ ...config, chat_template: template }));
    return loadTokenizer(folder);
  }

  test("loses whole exchanges, but neither the system's turns nor the last answer and its question; else it is refused", async () => {
    const tokenizer = await withTemplate();
    const whole = encodeRow(tokenizer, talk).ids.length;
    const cut = (truncate: "START" | "END", room: number) => encodeRow(tokenizer, talk, "causal", { room, truncate });
    for (const [truncate, first, second] of [
      ["START", withoutPairs(1), withoutPairs(1, 2)],
      ["END", withoutPairs(3), withoutPairs(3, 2)],
    ] as const) {
      const [once, twice] = [encodeRow(tokenizer, first), encodeRow(tokenizer, second)];
      expect(cut(truncate, whole - 1)).toStrictEqual({ ...once, cutTokens: whole - once.ids.length });
      expect(cut(truncate, once.ids.length)).toStrictEqual(cut(truncate, whole - 1));
      expect(cut(truncate, once.ids.length - 1)).toStrictEqual({ ...twice, cutTokens: whole - twice.ids.length });
      const least = encodeRow(tokenizer, withoutPairs(1, 2, 3)).ids.length;
      expect(cut(truncate, least).ids).toHaveLength(least);
      expect(() => cut(truncate, 20)).toThrow(/more than 20 tokens/u);
    }
    const [, ...short] = talk.messages.slice(0, 3);
    const bounds = { contextLength: 30, truncate: "START" as const };
    const { issues } = fitRow({ line: 1, row: { messages: short } }, { tokenizer, bounds, labelWords: [] });
    expect(issues.map(({ message }) => message)).toStrictEqual([
      expect.stringMatching(/^the row has \d+ tokens, but/u),
    ]);
  });
});

test("cut rows and their tokens are counted", async () => {
  const { length } = encodeRow(gpt2, row).ids;
  const short = { prompt: "It was", completion: " great" };
  const check = (truncate: "REFUSE" | "START", ...rows: Row[]) =>
    checkRowsFit({
      tokenizer: gpt2,
      bounds: { contextLength: length - 2, truncate },
      rows: numbered(...rows),
      labelWords: [],
    });
  expect((await check("START", short, row, { ...row, prompt: `We know ${row.prompt}` })).notes).toStrictEqual([
    {
      type: "ROWS_CUT",
      message: `2 rows are longer than the context and are cut at the start of the prompt, by ${
        2 + encodeRow(gpt2, { ...row, prompt: `We know ${row.prompt}` }).ids.length - length + 2
      } tokens in all.`,
    },
  ]);
  expect((await check("START", short)).notes).toStrictEqual([]);
  await expect(check("REFUSE", short, row)).rejects.toThrow(/^1 row does not fit/u);
});
