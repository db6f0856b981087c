/**
 * What a thread keeps of the run before: its tokenizer, and its rows as they were prepared. The next run of a sweep reads the same
 * files under the same rules, and starts at once.
 *
 * Files are the same if their sizes and times are. One may be written twice within one tick of its file system's clock and look the
 * same, so what was read of young files is not kept. What a run does not use is forgotten before it reads anything else.
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Needs } from "../../dataset/fit.ts";
import type { Tokenizer } from "../../dataset/tokenizer.ts";
import type { PreparedRow } from "../objective/evaluate.ts";

/** The tick of the coarsest file system clock, that of FAT. */
const tickMs = 2_000;

export interface RowFile {
  readonly path: string;
  readonly needs: Needs | null;
}

type Rows = readonly PreparedRow[];

/** What one run reads. */
export interface RunInputs {
  tokenizer(load: () => Promise<Tokenizer | null>): Promise<Tokenizer | null>;
  rows(file: RowFile, read: () => Promise<Rows>): Promise<Rows>;
}

interface Kept<Value> {
  readonly key: string;
  readonly value: Value;
}

export class WarmInputs {
  readonly #now: () => number;
  #tokenizer: Kept<Tokenizer | null> | null = null;
  #rows: readonly Kept<Rows>[] = [];

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** @param rules all that rows depend on besides the files: the model's folder, and theirs */
  async open(modelFolder: string, rowFiles: readonly RowFile[], rules: unknown): Promise<RunInputs> {
    const model = await this.#stampOf(await filesIn(modelFolder));
    const keys = new Map<RowFile, string | null>();
    for (const file of rowFiles) {
      const rows = await this.#stampOf([file.path]);
      keys.set(file, model && rows && JSON.stringify([model, rows, file.needs, rules]));
    }
    const wanted = new Set(keys.values());
    this.#rows = this.#rows.filter(({ key }) => wanted.has(key));
    if (this.#tokenizer?.key !== model) this.#tokenizer = null;
    return {
      tokenizer: async (load) => {
        const value = this.#tokenizer ? this.#tokenizer.value : await load();
        this.#tokenizer = model === null ? null : { key: model, value };
        return value;
      },
      rows: async (file, read) => {
        const key = keys.get(file) ?? null;
        const kept = this.#rows.find((rows) => rows.key === key);
        if (kept) return kept.value;
        const value = await read();
        if (key !== null) this.#rows = [...this.#rows, { key, value }];
        return value;
      },
    };
  }

  /** Null if one of the files is young, or cannot be looked at. */
  async #stampOf(paths: readonly string[]): Promise<string | null> {
    const stats = await Promise.all(paths.map((path) => stat(path).catch(() => null)));
    const isOld = stats.every((file) => file && this.#now() - Math.max(file.mtimeMs, file.ctimeMs) > tickMs);
    const stamps = stats.map((file, at) => [paths[at], file?.size, file?.mtimeMs, file?.ctimeMs, file?.ino]);
    return isOld ? JSON.stringify(stamps) : null;
  }
}

/** A tokenizer's files are in no folder of it. */
async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.flatMap((entry) => (entry.isDirectory() ? [] : [join(folder, entry.name)])).toSorted();
}
