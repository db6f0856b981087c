/** What is typed in a terminal: lines one after the other, messages of one line or several, and Ctrl-C. */
import { createInterface, type Interface } from "node:readline";

type Typed = { readonly line: string } | "Ctrl-C" | "Ctrl-D";

/** Lines that arrive before they are asked for, as those of a paste do, wait. */
export class Typing {
  readonly #terminal: Interface;
  readonly #early: Typed[] = [];
  #waiting: ((typed: Typed) => void) | null = null;
  #stop: AbortController | null = null;

  constructor() {
    const { stdin: input, stdout: output } = process;
    this.#terminal = createInterface({ input, output, terminal: true });
    this.#terminal.on("line", (line) => this.#take({ line }));
    this.#terminal.on("close", () => this.#take("Ctrl-D"));
    this.#terminal.on("SIGINT", () => {
      if (this.#stop) this.#stop.abort();
      else this.#take("Ctrl-C");
    });
  }

  close(): void {
    this.#terminal.close();
  }

  /**
   * Reads until a line ends that neither ends in a backslash nor stands between two fences. Ctrl-C begins anew.
   * @returns null for Ctrl-D
   */
  async message(): Promise<string | null> {
    for (let lines: string[] = []; ;) {
      const typed = await this.#line(lines.length === 0 ? "> " : "... ");
      if (typed === "Ctrl-D") return null;
      lines = typed === "Ctrl-C" ? [] : [...lines, typed.line];
      const text = lines.length === 0 ? null : wholeOf(lines);
      if (text !== null) return text;
    }
  }

  /** Does something that Ctrl-C stops. */
  async during<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.#stop = new AbortController();
    try {
      return await work(this.#stop.signal);
    } finally {
      this.#stop = null;
    }
  }

  async #line(prompt: string): Promise<Typed> {
    const early = this.#early.shift();
    if (early !== undefined) return early;
    this.#terminal.setPrompt(prompt);
    this.#terminal.prompt();
    return new Promise((resolve) => (this.#waiting = resolve));
  }

  #take(typed: Typed): void {
    if (typed === "Ctrl-C") this.#forgetLine();
    if (this.#waiting) this.#waiting(typed);
    else this.#early.push(typed);
    this.#waiting = null;
  }

  /** What was typed of it, as shells do. */
  #forgetLine(): void {
    this.#terminal.write(null, { ctrl: true, name: "e" });
    this.#terminal.write(null, { ctrl: true, name: "u" });
    process.stdout.write("^C\n");
  }
}

const fence = '"""';

/** The message that the lines are; null while it goes on. */
export function wholeOf(lines: readonly string[]): string | null {
  const fences = lines.filter((line) => line.trim() === fence).length;
  if (fences % 2 === 1) return null;
  const said = lines.filter((line) => line.trim() !== fence);
  if (fences > 0) return said.join("\n");
  return said.at(-1)?.endsWith("\\") === true ? null : said.map((line) => line.replace(/\\$/u, "")).join("\n");
}
