/**
 * Which statements a connection keeps parsed. Postgres does not know the types of the parameters of one that it sees for the first
 * time, so postgres.js asks for them first: a turn more for each statement that is not kept. Those that come again are kept, the
 * others, such as inserts of as many rows as there happen to be, are not: each connection remembers all that it has kept.
 */

/** Of one pool. */
const mostKept = 300;
/** Texts whose uses are counted. */
const mostCounted = 1_000;
/** The use from which on a statement is kept. */
const keptFrom = 3;

export class KeptStatements {
  readonly #kept = new Set<string>();
  readonly #uses = new Map<string, number>();

  /** Counts a use. True if the statement is kept from now on. */
  use(text: string): boolean {
    if (this.#kept.has(text)) return true;
    if (this.#kept.size >= mostKept) return false;
    const uses = (this.#uses.get(text) ?? 0) + 1;
    if (uses >= keptFrom) return this.#keep(text);
    if (this.#uses.size >= mostCounted) this.#uses.clear();
    this.#uses.set(text, uses);
    return false;
  }

  #keep(text: string): true {
    this.#uses.delete(text);
    this.#kept.add(text);
    return true;
  }
}
