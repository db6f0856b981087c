/**
 * A page of lines that is drawn over and over in the same place: the terminal's second screen, which leaves what was there
 * before as it was. Whatever ends the process, the terminal is given back first.
 */
import { cutTo, type Size, sizeOf } from "../terminal.ts";

const enter = "\u001b[?1049h\u001b[?25l";
const leave = "\u001b[?25h\u001b[?1049l";
const home = "\u001b[H";
const endOfLine = "\u001b[0m\u001b[K";
const endOfPage = "\u001b[J";

export class Screen {
  readonly #stream: NodeJS.WriteStream;
  readonly #view: (size: Size) => readonly string[];
  #drawn = "";

  /** Shows the lines that `view` gives, as often as `draw` is called and whenever the terminal changes its size. */
  constructor(stream: NodeJS.WriteStream, view: (size: Size) => readonly string[]) {
    [this.#stream, this.#view] = [stream, view];
    stream.write(enter);
    stream.on("resize", this.#redraw);
    process.once("exit", this.#giveBack);
    // Before those who print on the first screen what to do next.
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.prependOnceListener(signal, this.close);
    this.draw();
  }

  readonly draw = (): void => {
    const { columns, rows } = sizeOf(this.#stream);
    const lines = this.#view({ columns, rows }).slice(0, rows);
    const page = lines.map((line) => cutTo(line, columns) + endOfLine).join("\n");
    if (page !== this.#drawn) this.#stream.write(home + page + endOfPage);
    this.#drawn = page;
  };

  readonly #redraw = (): void => {
    this.#drawn = "";
    this.draw();
  };

  readonly close = (): void => {
    this.#stream.off("resize", this.#redraw);
    process.off("exit", this.#giveBack);
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, this.close);
    this.#giveBack();
  };

  readonly #giveBack = (): void => {
    this.#stream.write(leave);
  };
}
