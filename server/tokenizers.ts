/** Tokenizers of base models, cached so that creating a run does not read the files again. */
import { join } from "node:path";
import { loadOptionalTokenizer, type Tokenizer } from "../dataset/tokenizer.ts";
import type { BaseModel } from "../schema/tables.ts";

/** A vocabulary takes tens of megabytes of memory, so only the most recently used ones are kept. */
const kept = 4;

export class Tokenizers {
  readonly #modelsDir: string;
  readonly #byHash = new Map<string, Promise<Tokenizer | null>>();

  constructor(modelsDir: string) {
    this.#modelsDir = modelsDir;
  }

  /** Null for a model without a tokenizer, which needs rows of token ids. @throws MODEL_INVALID when it cannot be read. */
  async of(model: BaseModel): Promise<Tokenizer | null> {
    const key = `${model.name}\n${model.hash}`;
    const tokenizer = this.#byHash.get(key) ?? loadOptionalTokenizer(join(this.#modelsDir, model.name));
    this.#byHash.delete(key);
    this.#byHash.set(key, tokenizer);
    for (const oldest of [...this.#byHash.keys()].slice(0, -kept)) this.#byHash.delete(oldest);
    // Do not cache a failure or an absence: the folder may be completed later.
    const loaded = await tokenizer.catch(() => null);
    if (loaded === null) this.#byHash.delete(key);
    return tokenizer;
  }
}
