/**
 * Reads pieces for all that follow completions at a gateway: those that hear of news in the same moment, as of the requests that a
 * worker answers together, read by one statement.
 */
import type { Database } from "../postgres/database.ts";
import { type PiecesPage, piecesAfterEach } from "../serving/pieces.ts";
import { pageRows } from "./window.ts";

interface Waiting {
  readonly id: string;
  readonly after: number;
  readonly resolve: (page: PiecesPage | null) => void;
  readonly reject: (error: unknown) => void;
}

export class PieceReader {
  readonly #database: Database;
  #waiting: Waiting[] = [];

  constructor(database: Database) {
    this.#database = database;
  }

  /** A page of the pieces after one; null for an unknown completion. */
  read(id: string, after: number): Promise<PiecesPage | null> {
    if (this.#waiting.length === 0) setImmediate(() => void this.#readAll());
    return new Promise((resolve, reject) => this.#waiting.push({ id, after, resolve, reject }));
  }

  async #readAll(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    try {
      const pages = await piecesAfterEach(this.#database, waiting, pageRows);
      for (const [index, { resolve }] of waiting.entries()) resolve(pages[index] ?? null);
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
  }
}
