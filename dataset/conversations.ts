/** Rows of Alpaca and of ShareGPT as conversations. */
import type { ChatRow } from "./jsonl.ts";
import type { Message } from "./message.ts";
import { listOf } from "./issues.ts";
import type { TaskRow } from "./template.ts";
import { RowProblem, textOf, valueOf } from "./template.ts";

/** {"instruction": "...", "input": "..." (may be missing or empty), "output": "..."} */
export function alpaca(row: TaskRow): ChatRow {
  const input = valueOf(row, "input") === undefined ? "" : textOf(row, "input");
  const instruction = textOf(row, "instruction");
  return {
    messages: [
      ...systemOf(row),
      { role: "user", content: input === "" ? instruction : `${instruction}\n\n${input}` },
      { role: "assistant", content: textOf(row, "output") },
    ],
  };
}

const rolesOfShareGpt: Readonly<Record<string, Message["role"]>> = {
  system: "system",
  human: "user",
  user: "user",
  gpt: "assistant",
  chatgpt: "assistant",
  assistant: "assistant",
  model: "assistant",
  observation: "tool",
  tool: "tool",
};

/** {"conversations": [{"from": "human", "value": "..."}, {"from": "gpt", "value": "..."}]} */
export function shareGpt(row: TaskRow): ChatRow {
  const turns = valueOf(row, "conversations");
  if (!Array.isArray(turns) || turns.length === 0) {
    throw new RowProblem("conversations", 'the field "conversations" must be a list of turns');
  }
  return {
    messages: [...systemOf(row), ...turns.map((turn: unknown, index) => turnOf(turn, `conversations.${index}`))],
  };
}

function turnOf(turn: unknown, field: string): Message {
  const its = typeof turn === "object" && turn !== null ? (turn as TaskRow) : {};
  const from = its["from"] ?? its["role"];
  const role = typeof from === "string" && Object.hasOwn(rolesOfShareGpt, from) ? rolesOfShareGpt[from] : undefined;
  if (!role) {
    const seen = typeof from === "string" ? `; it is ${listOf([from])}` : "";
    throw new RowProblem(`${field}.from`, `must be one of ${Object.keys(rolesOfShareGpt).join(", ")}${seen}`);
  }
  const content = its["value"] ?? its["content"];
  if (typeof content !== "string") throw new RowProblem(`${field}.value`, "must be text");
  return { role, content };
}

function systemOf(row: TaskRow): Message[] {
  const system = valueOf(row, "system");
  return typeof system === "string" && system !== "" ? [{ role: "system", content: system }] : [];
}
