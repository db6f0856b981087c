/** Tokenizers that a process keeps: one call after the other is about the same few models. */
import { SteplogError } from "../schema/errors.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { loadOptionalTokenizer } from "./tokenizer.ts";

const kept = new Map<string, Tokenizer | null>();

/**
 * @param key changes when the folder's tokenizer does
 * @param most how many are kept, this one among them. One of 150,000 tokens takes some 100 MB
 * @throws MODEL_INVALID, MODEL_UNSUPPORTED
 */
export async function tokenizerOf(folder: string, key: string, most = 1): Promise<Tokenizer | null> {
  const known = kept.get(key);
  // A map keeps the order of insertion, so the first is the one used longest ago. It makes room before another is loaded.
  kept.delete(key);
  for (const oldest of kept.keys()) if (kept.size >= most) kept.delete(oldest);
  const tokenizer = known === undefined ? await loadAndTry(folder) : known;
  kept.set(key, tokenizer);
  return tokenizer;
}

/** Texts on which regular expressions that backtrack take for ever. */
const trials = [
  "Hello, world! It's 12:30.\n\n  Words  \t1234567 ",
  ...["a", " ", "1", "\n", "!"].map((one) => `${one.repeat(64)}\u{1f600}`),
];

/** A tokenizer that fails, or a template without end, is found before any row is blamed for it. @throws MODEL_INVALID */
export async function loadAndTry(folder: string): Promise<Tokenizer | null> {
  const tokenizer = await loadOptionalTokenizer(folder);
  if (!tokenizer) return null;
  for (const text of trials) tokenizer.decode(tokenizer.encodeWhole(text));
  try {
    tokenizer.chat?.write({
      messages: [
        { role: "user", content: "Hello?" },
        { role: "assistant", content: "Hello!" },
      ],
    });
  } catch (error) {
    // A template may refuse this conversation and take others.
    if (!(error instanceof SteplogError)) throw error;
  }
  return tokenizer;
}
