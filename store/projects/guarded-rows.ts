/** A feed that begins once it is known that the subscriber may have it. */
import type { Rows } from "../live/feed.ts";

/** @param check throws at the first pull for what the subscriber may not see, as a feed does for an unknown id */
export function guardedRows<Row>(check: () => Promise<void>, start: () => Rows<Row>): Rows<Row> {
  let rows: Rows<Row> | null = null;
  let isOver = false;
  const over = { value: undefined, done: true } as const;
  const begin = async () => {
    if (!isOver) {
      await check();
      rows ??= start();
    }
    return rows && !isOver ? rows.next() : over;
  };
  return {
    next: () => (rows && !isOver ? rows.next() : begin()),
    async return() {
      isOver = true;
      return rows ? rows.return() : over;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
