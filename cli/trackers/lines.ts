/** Trackers that are text files: CSV with a line for each value, and JSON lines as W&B's history has them. */
import { open, readFile } from "node:fs/promises";
import { type OpenTracker, type Point, type Tracker, note } from "./tracker.ts";

interface Format {
  /** The first line of a new file. */
  readonly header: string;
  readonly print: (point: Point) => string;
  /** Null for a line that is not a point. */
  readonly read: (line: string) => Point | null;
}

const csv: Format = {
  header: "step,series,value\n",
  print: ({ step, values }) =>
    Object.entries(values)
      .map(([series, value]) => `${step},${series},${value}\n`)
      .join(""),
  read(line) {
    const [step = "", series = "", value = ""] = line.split(",");
    return /^\d+$/u.test(step) ? { step: Number(step), values: { [series]: Number(value) } } : null;
  },
};

const wandb: Format = {
  header: "",
  print: ({ step, values }) => `${JSON.stringify({ _step: step, _timestamp: Date.now() / 1_000, ...values })}\n`,
  read(line) {
    const { _step: step, _timestamp: _, ...values } = JSON.parse(line) as { _step?: number } & Record<string, number>;
    return step === undefined ? null : { step, values };
  },
};

export const csvFile = (path: string): OpenTracker => openLines("--csv", path, csv);
export const wandbLines = (path: string): OpenTracker => openLines("--wandb-jsonl", path, wandb);

function openLines(name: string, path: string, { header, print, read }: Format): OpenTracker {
  const openFile = async (): Promise<Tracker> => {
    const text = await readFile(path, "utf8").catch((error: unknown) => {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
      throw error;
    });
    // A line that a killed command began, or for which there was no room, is written again.
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    const last = new Map<string, number>();
    for (const line of whole.split("\n")) {
      const point = line === "" ? null : read(line);
      if (point) note(last, point);
    }
    const file = await open(path, "a");
    await file.truncate(Buffer.byteLength(whole));
    if (whole === "") await file.appendFile(header);
    return { last, write: (points) => file.appendFile(points.map(print).join("")), close: () => file.close() };
  };
  return { name, open: openFile };
}
