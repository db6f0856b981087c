/** CSV as rows that can be split. Its parser is the service's, and loaded with this file only when there is some. */
import { parse, type Info } from "csv-parse/browser/esm/sync";
import type { Rows } from "./split.ts";

interface Parsed {
  readonly record: readonly string[];
  readonly info: Info;
}

/** Null for what cannot be read: the service says what is wrong, and in which line. */
export function csvRowsOf(text: string): Rows | null {
  const delimiter = delimiterOf(text);
  const written = (cells: readonly string[]) => cells.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(delimiter);
  try {
    const options = { delimiter, skip_empty_lines: true, info: true } as const;
    const [header, ...others] = parse(text, options) as unknown as readonly Parsed[];
    if (header === undefined) return null;
    const column = header.record.findIndex((name) => name.trim() === "prompt");
    const rows = others.map(({ record, info }) => {
      const row = written(record);
      return { text: row, number: info.lines - lineFeedsIn(row), prompt: record[column] ?? row };
    });
    return { header: written(header.record), rows };
  } catch {
    return null;
  }
}

/** Of those that the service knows, the one that makes most columns of the first line. */
function delimiterOf(text: string): string {
  const [line = ""] = text.split("\n", 1);
  const columns = (delimiter: string) => {
    try {
      return parse(line, { delimiter })[0]?.length ?? 0;
    } catch {
      return 0;
    }
  };
  return [",", ";", "\t"].toSorted((a, b) => columns(b) - columns(a))[0] ?? ",";
}

/** A record's line is counted at its end. */
const lineFeedsIn = (row: string) => row.split("\n").length - 1;
