/** Streams of results over others, without generators in generators. */

/** What `next` makes of `items`. return() reaches them at once, even while a next() is waiting, which that of a generator would not. */
export function streamOver<Item>(
  items: AsyncIterator<unknown>,
  next: () => Promise<IteratorResult<Item, void>>,
): AsyncGenerator<Item, void, void> {
  return {
    next,
    async return() {
      await items.return?.();
      return over;
    },
    async throw(error) {
      await items.return?.();
      throw error;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

export const over = { value: undefined, done: true } as const;
