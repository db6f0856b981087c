/** The output of commands: results on stdout, progress on stderr. */
import { exitCodes } from "./exit-codes.ts";
import { canRedraw, cutTo, terminalWidth, widthOf } from "./terminal.ts";

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/**
 * Ends the process when the reader of its output has gone, as in `steplog ... | head`, with the exit code of a program that
 * SIGPIPE ended. Without this, Node.js would print a stack trace.
 */
export function endQuietlyWithReader(): void {
  const onError = (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(exitCodes.outputClosed);
    throw error;
  };
  process.stdout.on("error", onError);
  process.stderr.on("error", onError);
}

let quiet = false;

/** Nothing is printed of how far a command is, or why it waits: results and errors only. */
export function beQuiet(wanted: boolean): void {
  quiet = wanted;
}

/** Prints on stderr why the command waits, as a line that stays. */
export function note(text: string): void {
  if (quiet) return;
  process.stderr.write(canRedraw(process.stderr) ? `\r\u001b[2K${text}\n` : `${text}\n`);
}

const progressMs = 1_000;

/** A progress line on stderr: redrawn in place in a terminal that can, otherwise printed at most once a second. */
export class ProgressLine {
  readonly #terminal = canRedraw(process.stderr);
  #last = -Infinity;

  show(text: string): void {
    const now = performance.now();
    if (quiet) return;
    if (now - this.#last < (this.#terminal ? 50 : progressMs)) return;
    this.#last = now;
    process.stderr.write(this.#terminal ? `\r\u001b[2K${text}` : `${text}\n`);
  }

  /** Prints a line that stays. */
  note(text: string): void {
    note(text);
  }

  /** Clears the line, so that other output can follow. */
  end(): void {
    if (this.#terminal && this.#last > -Infinity) process.stderr.write("\r\u001b[2K");
  }
}

/**
 * Prints rows in columns under headings. In a terminal that is too narrow, the column `cut` is cut.
 * @param cut index of the column that may lose its end; cells elsewhere stay whole
 */
export function printTable(headings: readonly string[], rows: readonly (readonly string[])[], cut?: number): void {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => widthOf(row[column] ?? ""))),
  );
  const beyond = widths.reduce((sum, width) => sum + width + gap.length, -gap.length) - terminalWidth();
  if (cut !== undefined && beyond > 0) widths[cut] = Math.max(leastCut, (widths[cut] ?? 0) - beyond);
  for (const row of [headings, ...rows]) {
    const cells = row.map((cell, column) =>
      padded(column === cut ? cutTo(cell, widths[column] ?? 0) : cell, widths[column] ?? 0),
    );
    print(cells.join(gap).trimEnd());
  }
}

const gap = "  ";
/** Less of a cell would tell nothing. */
const leastCut = 8;

const padded = (cell: string, width: number) => cell + " ".repeat(Math.max(0, width - widthOf(cell)));
