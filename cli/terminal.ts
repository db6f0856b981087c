/** The terminal that output goes to, if it goes to one: how wide it is, how wide a text is in it, and its colours. */
import widthWithin from "fast-string-truncated-width";
import picocolors from "picocolors";

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** Of the terminal on the stream. One that does not know its size, as over a serial line, has 0 of both: then the usual one. */
export function sizeOf({ columns, rows }: Size): Size {
  return { columns: columns > 0 ? columns : 80, rows: rows > 0 ? rows : 24 };
}

/** Columns of the terminal on stdout; without one, as many as a line has. */
export function terminalWidth(stream: NodeJS.WriteStream = process.stdout): number {
  return stream.isTTY ? sizeOf(stream).columns : Number.POSITIVE_INFINITY;
}

/** Whether the stream is a terminal in which lines can be drawn over. */
export function canRedraw(stream: NodeJS.WriteStream = process.stdout): boolean {
  return stream.isTTY && process.env["TERM"] !== "dumb";
}

/** Whether the terminal shows letters beyond ASCII. One that does not say is taken to: most do. */
export function drawsUnicode({ LC_ALL, LC_CTYPE, LANG, TERM }: NodeJS.ProcessEnv = process.env): boolean {
  const locale = [LC_ALL, LC_CTYPE, LANG].find((value) => value !== undefined && value !== "");
  // The console of Linux has a font of 512 letters.
  return TERM !== "linux" && (locale === undefined || /utf-?8/iu.test(locale));
}

/** Columns that a text takes: none for what sets a colour, two for a letter of Chinese. */
export function widthOf(text: string): number {
  return widthWithin(text).width;
}

/** The text, or its beginning and three dots where it is wider. */
export function cutTo(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  // Among letters such as braille's, the package may cut one too late.
  for (let limit = width; limit > 0; limit--) {
    const { index } = widthWithin(text, { limit, ellipsis: "..." });
    const cut = `${text.slice(0, index)}...`;
    if (widthOf(cut) <= width) return cut;
  }
  return "";
}

/** The parts, with `gap` between those in one line, in as many lines as they need. A part is never broken. */
export function linesOf(parts: readonly string[], gap: string, width: number): string[] {
  const lines: string[] = [];
  for (const part of parts) {
    const longer = lines.length === 0 ? part : `${lines.at(-1)}${gap}${part}`;
    if (lines.length > 0 && widthOf(longer) > width) lines.push(part);
    else lines.splice(-1, 1, longer);
  }
  return lines;
}

/**
 * Colours for what is printed on `stream`: in terminals only, unless FORCE_COLOR is set; never where NO_COLOR is
 * (https://no-color.org).
 */
export function coloursOf(
  // Undefined for a pipe, which picocolors would take for "as usual": with colours where CI is set.
  stream: { readonly isTTY?: boolean } = process.stdout,
  { NO_COLOR = "", FORCE_COLOR = "", TERM = "" }: NodeJS.ProcessEnv = process.env,
) {
  const forced = FORCE_COLOR !== "" && FORCE_COLOR !== "0" && FORCE_COLOR !== "false";
  const usual = stream.isTTY === true && TERM !== "dumb" && FORCE_COLOR === "";
  return picocolors.createColors(NO_COLOR === "" && (forced || usual));
}
