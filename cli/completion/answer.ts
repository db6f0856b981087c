/** What the scripts of scripts.ts ask at each Tab: one line that says whether files fit too, then a word a line. */
import type { Command } from "commander";
import { completionsOf } from "./complete.ts";
import { namesOfService } from "./service-names.ts";

/** Prints nothing at all where anything fails: whoever types would see it in the middle of the line. */
export async function answerTab(program: Command, words: readonly string[]): Promise<void> {
  const none = { candidates: [], files: false };
  const { candidates, files } = await completionsOf(program, words, namesOfService).catch(() => none);
  // Control characters would end the line or the word.
  const lines = candidates.map(({ value, meaning }) => `${plain(value)}\t${plain(meaning)}`);
  // A service that answers late would keep the process.
  process.stdout.write([files ? "files" : "words", ...lines, ""].join("\n"), () => process.exit());
}

function plain(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ");
}
