/** What the four kinds of models have in common: they cut one word into tokens of a vocabulary. */
import { SteplogError } from "../../schema/errors.ts";

export interface Model {
  /** Appends the tokens of one word. @throws MODEL_INVALID if the word needs an unknown token that the vocabulary lacks */
  readonly encode: (word: string, ids: number[]) => void;
  readonly vocabulary: Vocabulary;
}

export interface Vocabulary {
  readonly size: number;
  readonly idOf: (token: string) => number | undefined;
  readonly tokenOf: (id: number) => string | undefined;
}

/** @throws if an id is none, or two tokens share one */
export function vocabularyOf(entries: Iterable<readonly [token: string, id: unknown]>): Vocabulary {
  const ids = new Map<string, number>();
  const tokens = new Map<number, string>();
  for (const [token, id] of entries) {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id > highestId) {
      throw new Error(`the vocabulary gives ${JSON.stringify(token)} the id ${JSON.stringify(id)}`);
    }
    ids.set(token, id);
    tokens.set(id, token);
  }
  return { size: ids.size, idOf: (token) => ids.get(token), tokenOf: (id) => tokens.get(id) };
}

/** Ids are uint32 in the reference; a product of two stays exact below this. */
const highestId = 2 ** 26;

/** The id of the unknown token. @throws MODEL_INVALID if there is none */
export function requireUnknown(vocabulary: Vocabulary, token: string | null): number {
  const id = token === null ? undefined : vocabulary.idOf(token);
  if (id !== undefined) return id;
  const seen = token === null ? "names no unknown token" : `has no token ${JSON.stringify(token)}`;
  throw new SteplogError(
    "MODEL_INVALID",
    `A text has parts that the tokenizer does not know, and its vocabulary ${seen}.`,
  );
}
