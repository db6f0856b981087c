/** Rows as people have them: what is taken, and what is recognised with advice. */
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ChatTemplate } from "../../dataset/chat.ts";
import { objectsOf, openRows } from "../../dataset/files.ts";
import type { ChatRow, Row } from "../../dataset/jsonl.ts";
import { checkDataset, readRows } from "../../dataset/jsonl.ts";
import type { Preparation } from "../../dataset/prepare.ts";
import { prepare } from "../../dataset/prepare.ts";
import { SteplogError } from "../../schema/errors.ts";
import { golden, scratch } from "../support/models.ts";

async function fileOf(text: string | Uint8Array): Promise<string> {
  const path = join(await scratch(), "rows");
  await writeFile(path, text);
  return path;
}

/** The rows as they are read once they are stored. */
async function rowsOf(text: string | Uint8Array): Promise<Row[]> {
  const path = await fileOf(text);
  const { lines, asIs } = await openRows(path);
  const stored: Uint8Array[] = [];
  for await (const bytes of lines) stored.push(bytes);
  if (asIs) expect(Buffer.concat(stored)).toStrictEqual(Buffer.from(text));
  const open = async function* () {
    yield* stored;
  };
  await checkDataset(open());
  const rows: Row[] = [];
  for await (const { row } of readRows(open())) rows.push(row);
  return rows;
}

async function refusal(attempt: Promise<unknown>): Promise<SteplogError> {
  const error: unknown = await attempt.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error instanceof SteplogError && error.code === "DATASET_INVALID") return error;
  throw new Error(`expected a refusal, saw ${String(error)}`);
}

async function prepared(text: string, preparation: Preparation): Promise<object[]> {
  const rows: object[] = [];
  for await (const row of prepare(objectsOf(await fileOf(text)), preparation)) rows.push(row);
  return rows;
}

const row = { prompt: "a", completion: " b" };
const good = JSON.stringify(row);

describe("recognised, with what to do:", () => {
  test.each([
    [
      "one array over many lines",
      JSON.stringify([row, row], null, 2),
      1,
      /one JSON array.*a line must hold one row.*jq/u,
    ],
    ["one array in a line", JSON.stringify([row]), 1, /one JSON array/u],
    ["an object over many lines", JSON.stringify(row, null, 2), 1, /spread over several lines/u],
    ["lines that end with commas", `${good},\n${good}`, 1, /ends with a comma/u],
    ["a comma before the last bracket", `${good}\n{"prompt":"a","completion":"b", }`, 2, /a comma before its last/u],
    ["objects as Python prints them", "{'prompt': 'a', 'completion': 'b'}", 1, /single quotes.*json\.dumps/u],
    ["bare text", "The soup was stale.\nWe loved it.", 1, /bare text/u],
    ["bare text with commas", "Hello, world\nIt, was, fine", 1, /columns Hello, world.*bare text as JSON Lines/u],
    ["a bare text field", '{"text":"a"}', 1, /"prompt": "", "completion"/u],
    ["Alpaca", '{"instruction":"a","input":"","output":"b"}', 1, /the preset ALPACA/u],
    ["ShareGPT", '{"conversations":[{"from":"human","value":"a"}]}', 1, /the preset SHAREGPT/u],
    ["ShareGPT's turns", '{"messages":[{"from":"human","value":"a"}]}', 1, /the preset SHAREGPT/u],
    [
      "questions and answers",
      '{"question":"a","answer":"b"}',
      1,
      /a template: the prompt \{question\} and the completion \{answer\}/u,
    ],
    ["pairs of preferences", '{"prompt":"a","chosen":"b","rejected":"c"}', 1, /preferences/u],
    ["other fields", '{"sentence":"a","label":1}', 1, /the fields sentence, label; prepare/u],
    ["UTF-16", Buffer.from(`\ufeff${good}`, "utf16le"), 1, /UTF-16/u],
    [
      "CSV with other columns",
      "sentence,label\na,1\n",
      1,
      /CSV with the columns sentence, label\. Name them prompt and/u,
    ],
  ])("%s", async (_, text, line, words) => {
    const error = await refusal(rowsOf(text));
    expect(error.issues[0]).toMatchObject({ line, message: expect.stringMatching(words) as string });
    expect(error.message).toMatch(words);
  });
});

describe("CSV with a header is read as rows", () => {
  const rows = [
    { prompt: 'The "soup"; was, stale.\nIt was', completion: " terrible" },
    { prompt: "", completion: " great" },
  ];
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  const written = (separator: string, newline: string) =>
    [["prompt", "completion"], ...rows.map(({ prompt, completion }) => [quoted(prompt), quoted(completion)])]
      .map((cells) => cells.join(separator))
      .join(newline);

  test.each([
    ["commas", written(",", "\n")],
    ["semicolons, as spreadsheets write them in some languages", written(";", "\r\n")],
    ["tabs", written("\t", "\n")],
    ["a byte order mark and blank lines", `\ufeff${written(",", "\n\n")}\n\n`],
  ])("with %s", async (_, text) => {
    expect(await rowsOf(text)).toStrictEqual(rows);
  });

  test("with lists as JSON, and empty cells of lists as missing fields", async () => {
    expect(await rowsOf('prompt,completion,candidates\na,b,"[""b"",""c""]"\nd,e,\n')).toStrictEqual([
      { prompt: "a", completion: "b", candidates: ["b", "c"] },
      { prompt: "d", completion: "e" },
    ]);
  });

  test("and prepared by a preset or a template, with the file's line numbers", async () => {
    const text = "sentence,label\ngood film,1\nbad film,0\n";
    expect(await prepared(text, { preset: "SST2" })).toMatchObject([
      { completion: " great" },
      { completion: " terrible" },
    ]);
    const template = { prompt: "Q: {q}\nA:", completion: " {a}\n" };
    expect(await prepared("q;a\nwho?;me\n", { template })).toStrictEqual([
      { prompt: "Q: who?\nA:", completion: " me\n" },
    ]);
    const error = await refusal(prepared('sentence,label\n"two\nlines",1\n\nbad,7\n', { preset: "SST2" }));
    expect(error.issues).toMatchObject([{ line: 5, field: "label" }]);
  });

  test.each([
    ["too many cells", "prompt,completion\na,b\na,b,c\n", 3, /another number of cells than the header/u],
    ["an open quote", 'prompt,completion\n"a,b\n', 2, /never ends/u],
    ["text after a quote", 'prompt,completion\na,b\n"a"x,b\n', 3, /""/u],
    ["a quote inside a cell", 'prompt,completion\na "b" c,b\n', 2, /Quote the whole cell/u],
    ["an empty completion", 'prompt,completion\n"a\nb",c\n\n"d\ne",\n', 5, /"completion": is empty/u],
  ])("and refused by line for %s", async (_, text, line, words) => {
    expect((await refusal(rowsOf(text))).issues[0]).toMatchObject({
      line,
      message: expect.stringMatching(words) as string,
    });
  });

  test("and refused where it is not UTF-8 or has no records", async () => {
    const latin = Buffer.from("prompt,completion\nna\u00efve,b\n", "latin1");
    expect((await refusal(rowsOf(latin))).message).toMatch(/not UTF-8 text\. Save it as UTF-8/u);
    expect((await refusal(rowsOf("prompt,completion\n"))).message).toMatch(/empty/u);
  });
});

test("a field that is null is missing, in rows, turns and presets", async () => {
  const turns = [
    { role: "user", content: "Hi there" },
    { role: "assistant", content: "words", weight: 1 },
  ];
  const withNulls = turns.map((turn) => ({ weight: null, name: null, tool_calls: null, ...turn }));
  const lines = [
    { messages: withNulls, tools: null, input_ids: null, prompt: null },
    { ...row, candidates: null, answers: null, messages: null },
  ];
  expect(await rowsOf(lines.map((line) => JSON.stringify(line)).join("\n"))).toStrictEqual([{ messages: turns }, row]);
  const missing = await refusal(prepared('{"sentence":null,"label":1}', { preset: "SST2" }));
  expect(missing.issues).toMatchObject([{ line: 1, field: "sentence" }]);
});

describe("an answer with reasoning", () => {
  const { template, cases } = JSON.parse(readFileSync(golden("reasoning.json"), "utf8")) as {
    template: string;
    cases: (ChatRow & { text: string })[];
  };

  test.each(cases)("is written as transformers does, and scored whole: $text", ({ messages, text }) => {
    const chat = new ChatTemplate(template, { bos_token: "<s>", eos_token: "</s>" });
    expect(chat.write({ messages })).toBe(text);
    const spans = chat.locate(text, { messages }).map(({ start, end }) => text.slice(start, end));
    expect(spans).toStrictEqual([messages[1]?.content]);
  });
});

describe("tools, their calls and text parts", () => {
  const hermes =
    "{% if tools %}<s>tools{% for t in tools %} {{ t | tojson }}{% endfor %}</s>{% endif %}{% for m in messages %}" +
    "{% if m.role == 'tool' %}<s>tool\n{{ m.content }}</s>\n{% else %}<s>{{ m.role }}\n" +
    "{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endif %}" +
    "{% for c in m.tool_calls or [] %}{{ '\\n' if not loop.first or m.content else '' }}" +
    '<call>{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}</call>{% endfor %}</s>\n' +
    "{% endif %}{% endfor %}{% if add_generation_prompt %}<s>assistant\n{% endif %}";
  const plain = "{% for m in messages %}[{{ m.role }}]{{ m.content }}</s>{% endfor %}";
  const strict =
    "{% for m in messages %}{% if m.role not in ['user', 'assistant'] %}{{ raise_exception('Only users and assistants') }}" +
    "{% endif %}[{{ m.role }}]{{ m.content }}</s>{% endfor %}";
  const call = (name: string) => ({ id: "call12345", type: "function", function: { name, arguments: { at: "Oslo" } } });
  const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object", properties: {} } } }];
  const turns = [
    {
      role: "user",
      content: [
        { type: "text", text: "Is it " },
        { type: "text", text: "raining?" },
      ],
    },
    { role: "assistant", content: null, tool_calls: [call("weather"), call("tides")] },
    { role: "tool", tool_call_id: "call12345", name: "weather", content: "<s>assistant\nyes" },
    { role: "assistant", content: "One moment.", tool_calls: [call("tides")] },
    { role: "tool", content: "high" },
    {
      role: "assistant",
      content: [
        { type: "text", text: "It " },
        { type: "text", text: "rains." },
      ],
    },
  ];
  const parsed = async (messages: readonly object[], its?: readonly object[]) => {
    const [chat] = await rowsOf(JSON.stringify({ messages, ...(its && { tools: its }) }));
    if (!chat || !("messages" in chat)) throw new Error("expected a conversation");
    return chat;
  };

  test("are written where the template has them, and calls are scored as what the assistant says", async () => {
    const chat = new ChatTemplate(hermes, {});
    const talk = await parsed(turns, tools);
    const text = chat.write(talk);
    expect(text).toContain('<s>tools {"type": "function", "function": {"name": "weather"');
    expect(text).toContain("Is it raining?");
    const said = (name: string) => `<call>{"name": "${name}", "arguments": {"at": "Oslo"}}</call>`;
    expect(chat.locate(text, talk).map(({ start, end }) => text.slice(start, end))).toStrictEqual([
      `${said("weather")}\n${said("tides")}`,
      `One moment.\n${said("tides")}`,
      "It rains.",
    ]);
  });

  const [asked, called] = [{ role: "user", content: "a" }, turns[1] ?? {}];
  const answered = { role: "assistant", content: "b" };
  test.each([
    ["tools", plain, [asked, answered], tools, "tools", /does not write tools/u],
    ["calls", plain, [asked, called], undefined, "messages.1.tool_calls", /does not write calls of tools/u],
    ["parts", plain, [turns[0] ?? {}, answered], undefined, "messages.0.content", /lists of text parts/u],
    [
      "answers of tools",
      strict,
      [asked, { role: "tool", content: "c" }, answered],
      undefined,
      undefined,
      /Only users and/u,
    ],
  ])("are refused by field where the template has no %s", async (_, template, messages, its, field, words) => {
    const chat = new ChatTemplate(template, {});
    const talk = await parsed(messages, its);
    expect(() => chat.write(talk)).toThrow(words);
    try {
      chat.write(talk);
    } catch (error) {
      expect(error).toMatchObject({
        code: "DATASET_INVALID",
        issues: [{ message: expect.stringMatching(words) as string }],
      });
      expect((error as SteplogError).issues[0]?.field).toBe(field);
    }
  });

  test.each([
    [
      "an image",
      [{ role: "user", content: [{ type: "image_url", image_url: "x" }] }, answered],
      "messages.0.content.0.type",
    ],
    ["a part without text", [{ role: "user", content: [{ type: "text" }] }, answered], "messages.0.content.0.text"],
    ["calls of a user", [{ ...asked, tool_calls: [call("a")] }, answered], "messages.0.tool_calls"],
    [
      "a call without a name",
      [asked, { role: "assistant", tool_calls: [{ function: {} }] }],
      "messages.1.tool_calls.0.function.name",
    ],
    ["no calls", [asked, { role: "assistant", tool_calls: [] }], "messages.1.tool_calls"],
    ["no content", [asked, { role: "assistant" }], "messages.1.content"],
    ["a turn that is no object", [asked, "b"], "messages.1"],
  ])("are refused for %s", async (_, messages, field) => {
    const { issues } = await refusal(rowsOf(JSON.stringify({ messages })));
    expect(issues).toMatchObject([{ line: 1, field }]);
  });
});
