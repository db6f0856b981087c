/** What commands print: results on stdout, progress on stderr. */

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const progressMs = 1_000;

/** A line of progress on stderr: redrawn in a terminal, else printed at most once a second. */
export class ProgressLine {
  readonly #terminal = process.stderr.isTTY;
  #last = -Infinity;

  show(text: string): void {
    const now = performance.now();
    if (now - this.#last < (this.#terminal ? 50 : progressMs)) return;
    this.#last = now;
    process.stderr.write(this.#terminal ? `\r\u001b[2K${text}` : `${text}\n`);
  }

  /** Ends the line, so that what follows begins on its own. */
  end(): void {
    if (this.#terminal && this.#last > -Infinity) process.stderr.write("\r\u001b[2K");
  }
}

/** 124,439,808 as 124.4 M. */
export function formatCount(count: number): string {
  const units = ["", " k", " M", " B", " T"];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, count)) / 3)));
  return power === 0 ? String(count) : `${(count / 1000 ** power).toFixed(1)}${units[power]}`;
}

/** Rows in columns under their headings. */
export function printTable(headings: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  for (const row of [headings, ...rows]) {
    print(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    );
  }
}

/** 1,234,567 bytes as 1.2 MB (units of 1000). */
export function formatBytes(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  return power === 0 ? `${bytes} bytes` : `${(bytes / 1000 ** power).toFixed(1)} ${units[power]}`;
}

/** 3725 seconds as 1h 02m 05s. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number) => String(value).padStart(2, "0");
  if (h > 0) return `${h}h ${two(m)}m ${two(s)}s`;
  return m > 0 ? `${m}m ${two(s)}s` : `${s}s`;
}
