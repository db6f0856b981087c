/** Lines that are not rows, in formats that people have: recognised, with what to do. */
import { isJson } from "../schema/json.ts";
import { listOf } from "./issues.ts";

type Fields = Readonly<Record<string, unknown>>;

const oneRowALine = 'a line must hold one row, such as {"prompt": "...", "completion": "..."} (JSON Lines)';

/** Of a file that is one JSON array, by its first line; null for other files. */
export function arrayAdvice(text: string): string | null {
  if (!/^\s*\[/u.test(text)) return null;
  return `the file is one JSON array, and ${oneRowALine}. Convert it: jq -c '.[]' rows.json > rows.jsonl`;
}

/** Why a line is not JSON. `reason` is the parser's. */
export function syntaxAdvice(text: string, reason: string): string {
  const line = text.trim();
  if (line === "{")
    return `the line is not JSON: an object is spread over several lines, and ${oneRowALine}. Convert: jq -c .`;
  if (line.endsWith(",") && isJson(line.slice(0, -1))) return "the line ends with a comma. Remove it";
  const repaired = line.replace(/,(?=[\s}\]]+$)/u, "");
  if (repaired !== line && isJson(repaired))
    return "the line is not JSON: it has a comma before its last bracket. Remove it";
  if (line.startsWith("{'"))
    return "the line is not JSON: it has single quotes, as Python prints objects. Write it with json.dumps";
  if (!/^[{["]/u.test(line)) return `the line is not JSON: it looks like bare text, and ${oneRowALine}`;
  return `the line is not JSON (${reason})`;
}

/** What to do with a row that has neither prompt and completion, nor messages, nor tokens. Null if its fields say nothing. */
export function fieldsAdvice(row: Fields): string | null {
  const has = (...fields: readonly string[]) => fields.every((field) => field in row);
  if (has("instruction", "output")) return "this looks like a row of Alpaca: prepare the rows with the preset ALPACA";
  if (Array.isArray(row["conversations"])) {
    return "this looks like a conversation of ShareGPT: prepare the rows with the preset SHAREGPT";
  }
  if (has("chosen", "rejected")) {
    return "this looks like a pair of preferences, which cannot be learned as such; give its prompt and its chosen completion";
  }
  const pair = pairs.find(([from, to]) => has(from, to));
  if (pair) {
    const [from, to] = pair;
    return `prepare the rows with a template: the prompt {${from}} and the completion {${to}}`;
  }
  if (Object.keys(row).length === 0) return null;
  if (has("text")) {
    return 'it has a bare "text": to learn whole texts, give {"prompt": "", "completion": the text}; to learn labels, prepare the rows with a template';
  }
  return `it has the fields ${listOf(Object.keys(row))}; prepare the rows with a template, or with the preset of their task`;
}

/** Names under which people keep what is asked and what is answered. */
const pairs = [
  ["prompt", "response"],
  ["prompt", "answer"],
  ["prompt", "output"],
  ["input", "output"],
  ["instruction", "response"],
  ["question", "answer"],
  ["query", "response"],
  ["source", "target"],
] as const;
