/** What a row asks and what it teaches, as texts to compare. */
import type { Row } from "./jsonl.ts";

/**
 * Of a conversation, the turns before the assistant's first one and the others; of tokens, those before the first scored one
 * and the others with their labels.
 */
export function halvesOf(row: Row): { prompt: string; completion: string } {
  if ("prompt" in row) return row;
  if ("messages" in row) {
    const first = row.messages.findIndex(({ role }) => role === "assistant");
    const [asked, learned] = [row.messages.slice(0, first), row.messages.slice(first)];
    return { prompt: JSON.stringify([row.tools ?? [], asked]), completion: JSON.stringify(learned) };
  }
  const scored = row.labels.findIndex((label) => label >= 0);
  const [asked, learned] = [row.input_ids.slice(0, scored), row.input_ids.slice(scored)];
  return { prompt: asked.join(), completion: JSON.stringify([learned, row.labels.slice(scored)]) };
}
