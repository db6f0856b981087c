/** Ends a text before the first of some strings, whatever pieces it comes in. What may begin such a string is held back. */
export class StopStrings {
  readonly #stops: readonly string[];
  #held = "";

  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** The text that may be shown now, and whether it ends here. Of several strings, the first that is complete counts. */
  push(text: string): { readonly text: string; readonly stopped: boolean } {
    const all = this.#held + text;
    const [first] = this.#stops
      .map((stop) => ({ start: all.indexOf(stop), length: stop.length }))
      .filter(({ start }) => start >= 0)
      .toSorted((a, b) => a.start + a.length - (b.start + b.length) || a.start - b.start);
    if (first) {
      this.#held = "";
      return { text: all.slice(0, first.start), stopped: true };
    }
    const shown = all.length - this.#beginning(all);
    this.#held = all.slice(shown);
    return { text: all.slice(0, shown), stopped: false };
  }

  /** What was held back. No text follows. */
  end(): string {
    const held = this.#held;
    this.#held = "";
    return held;
  }

  /** Characters at the end of the text that begin a stop string, at most. */
  #beginning(text: string): number {
    const longest = Math.max(0, ...this.#stops.map((stop) => stop.length - 1));
    for (let length = Math.min(longest, text.length); length > 0; length--)
      if (this.#stops.some((stop) => stop.startsWith(text.slice(-length)))) return length;
    return 0;
  }
}
