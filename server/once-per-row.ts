/** What several fields of one row need is read once. A row is of one answer: the next one reads anew. */
import type { ProjectStore } from "../store/store.ts";

export function oncePerRow<Row extends object, Value>(
  read: (store: ProjectStore, row: Row) => Promise<Value>,
): (store: ProjectStore, row: Row) => Promise<Value> {
  const known = new WeakMap<Row, Promise<Value>>();
  return (store, row) => {
    const value = known.get(row) ?? read(store, row);
    known.set(row, value);
    return value;
  };
}
