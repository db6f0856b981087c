/**
 * A line chart in characters. Each cell of the line has two by four dots, which are those of braille's letters; marks take a
 * cell each. Where the terminal has no such letters, a cell with dots is a star.
 */

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Plot {
  /** In order of x. */
  readonly line: readonly Point[];
  readonly marks: readonly Point[];
}

export interface PlotStyle {
  /** Characters, with labels and axis. */
  readonly width: number;
  readonly height: number;
  /** Whether the terminal shows braille. */
  readonly unicode: boolean;
  readonly paintLine: (text: string) => string;
  readonly paintMark: (text: string) => string;
}

/** `height` lines, the last two of which are the axis and its labels. None where there is nothing to show, or no room for it. */
export function plotted({ line, marks }: Plot, style: PlotStyle): string[] {
  const rows = style.height - axisLines;
  const columns = style.width - margin - 2;
  if (line.length + marks.length === 0 || rows < 2 || columns < leastColumns) return [];
  const x = rangeOf([...line, ...marks].map((point) => point.x));
  const means = meansByColumn(line, x, columns * dotsAcross);
  const y = rangeOf([...means, ...marks].map((point) => point.y));
  const grid = new Grid(columns, rows);
  grid.draw(means.map((mean) => ({ x: mean.x, y: 1 - share(mean.y, y) })));
  for (const mark of marks) grid.mark({ x: share(mark.x, x), y: 1 - share(mark.y, y) });
  return framed(grid.lines(style), { x, y, columns, unicode: style.unicode });
}

interface Frame {
  readonly x: Range;
  readonly y: Range;
  readonly columns: number;
  readonly unicode: boolean;
}

function framed(lines: readonly string[], { x, y, columns, unicode }: Frame): string[] {
  const [corner, bar, along] = unicode ? ["└", "┤", "─"] : ["+", "|", "-"];
  const labels = new Map([
    [0, y.to],
    [lines.length - 1, y.from],
  ]);
  const labelAt = (row: number) => labels.get(row)?.toPrecision(4) ?? "";
  const [first, last] = [String(x.from), String(x.to)];
  return [
    ...lines.map((cells, row) => `${labelAt(row).slice(0, margin).padStart(margin)} ${bar}${cells}`),
    `${" ".repeat(margin)} ${corner}${along.repeat(columns)}`,
    `${" ".repeat(margin + 2)}${first}${last.padStart(columns - first.length)}`,
  ];
}

/** Of the labels: four digits, with their point or exponent. */
const margin = 9;
const leastColumns = 8;
const axisLines = 2;

interface Range {
  readonly from: number;
  readonly to: number;
}

function rangeOf(values: readonly number[]): Range {
  const reduced = values.reduce(({ from, to }, value) => ({ from: Math.min(from, value), to: Math.max(to, value) }), {
    from: Infinity,
    to: -Infinity,
  });
  return reduced;
}

/** 0 to 1; the middle of a range that is one value. */
function share(value: number, { from, to }: Range): number {
  return to > from ? (value - from) / (to - from) : 0.5;
}

/** Bits of braille's dots in a cell, by column and row (Unicode, U+2800). */
const dotBits = [
  [0x01, 0x02, 0x04, 0x40],
  [0x08, 0x10, 0x20, 0x80],
] as const;
const [dotsAcross, dotsDown] = [2, 4];

/** Places in it are shares of its width and height, from the upper left, unless they are columns. */
class Grid {
  readonly #columns: number;
  readonly #rows: number;
  readonly #dots: Uint8Array;
  readonly #marks = new Set<number>();

  constructor(columns: number, rows: number) {
    [this.#columns, this.#rows] = [columns, rows];
    this.#dots = new Uint8Array(columns * rows);
  }

  /** A dot for each point, joined to the one before. @param line x: columns of dots */
  draw(line: readonly Point[]): void {
    let before: { column: number; row: number } | null = null;
    for (const { x: column, y } of line) {
      const row = Math.round(y * (this.#rows * dotsDown - 1));
      this.#join(before ?? { column, row }, { column, row });
      before = { column, row };
    }
  }

  /** Dots of the straight line between two, at least one in each column and row that it crosses. */
  #join(from: { column: number; row: number }, to: { column: number; row: number }): void {
    const count = Math.max(1, to.column - from.column, Math.abs(to.row - from.row));
    for (let k = 0; k <= count; k++) {
      const column = Math.round(from.column + ((to.column - from.column) * k) / count);
      const row = Math.round(from.row + ((to.row - from.row) * k) / count);
      const cell = Math.floor(row / dotsDown) * this.#columns + Math.floor(column / dotsAcross);
      this.#dots[cell] = (this.#dots[cell] ?? 0) | (dotBits[column % dotsAcross]?.[row % dotsDown] ?? 0);
    }
  }

  mark({ x, y }: Point): void {
    const [column, row] = [Math.round(x * (this.#columns - 1)), Math.round(y * (this.#rows - 1))];
    this.#marks.add(row * this.#columns + column);
  }

  lines({ unicode, paintLine, paintMark }: PlotStyle): string[] {
    const characterOf = (cell: number) => {
      if (this.#marks.has(cell)) return paintMark(unicode ? "●" : "o");
      const dots = this.#dots[cell] ?? 0;
      if (dots === 0) return " ";
      return paintLine(unicode ? String.fromCodePoint(0x2800 + dots) : "*");
    };
    return Array.from({ length: this.#rows }, (_, row) =>
      Array.from({ length: this.#columns }, (__, column) => characterOf(row * this.#columns + column)).join(""),
    );
  }
}

/** One point for each column that has any, whose x is the number of the column. */
function meansByColumn(line: readonly Point[], range: Range, columns: number): Point[] {
  const sums = new Map<number, { sum: number; count: number }>();
  for (const { x, y } of line) {
    const column = Math.round(share(x, range) * (columns - 1));
    const { sum, count } = sums.get(column) ?? { sum: 0, count: 0 };
    sums.set(column, { sum: sum + y, count: count + 1 });
  }
  return [...sums].map(([x, { sum, count }]) => ({ x, y: sum / count }));
}
