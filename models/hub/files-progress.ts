/** How far the files of a download are: all of them, and the one that is being fetched. */
import type { HubFile } from "./hub.ts";

export interface FilesProgress {
  /** The file that was begun first of those that are being fetched; null between two. */
  readonly current: { readonly name: string; readonly doneBytes: number; readonly totalBytes: number } | null;
  readonly filesDone: number;
  readonly filesTotal: number;
}

export class FilesCounter {
  readonly #files: readonly Pick<HubFile, "name" | "bytes">[];
  /** Bytes so far, in the order in which the files were begun. */
  readonly #begun = new Map<string, number>();
  readonly totalBytes: number;

  constructor(files: readonly Pick<HubFile, "name" | "bytes">[]) {
    this.#files = files;
    this.totalBytes = files.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  reached(name: string, bytes: number): void {
    this.#begun.set(name, bytes);
  }

  get doneBytes(): number {
    return [...this.#begun.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  look(): FilesProgress {
    const sizes = new Map(this.#files.map(({ name, bytes }) => [name, bytes]));
    const begun = [...this.#begun].map(([name, doneBytes]) => ({ name, doneBytes, totalBytes: sizes.get(name) ?? 0 }));
    const unfinished = begun.filter(({ doneBytes, totalBytes }) => doneBytes < totalBytes);
    const filesDone = begun.length - unfinished.length;
    return { current: unfinished[0] ?? null, filesDone, filesTotal: this.#files.length };
  }
}
