/** The steplog command in a terminal of its own, which util-linux's `script` makes. */
import { spawn, execFile } from "node:child_process";
import { once } from "node:events";
import { promisify, stripVTControlCharacters } from "node:util";
import { onTestFinished } from "vitest";
import { programPath } from "../../schema/package.ts";
import { until } from "../process/service.ts";

export interface Terminal {
  /** Everything that the terminal received. */
  output: (this: void) => string;
  /** The page that was drawn last, without colours. */
  page: (this: void) => string;
  /** Waits until the text, with its control characters taken out, has it. */
  shows(text: string | RegExp, where?: "page" | "output"): Promise<void>;
  type(text: string): void;
  resize(columns: number, rows: number): Promise<void>;
  /** Ends with the exit code. */
  readonly ended: Promise<number | null>;
}

export const ctrlC = "\u0003";

/** Runs a line of bash in which `steplog` is the command. It is killed at the end of the test if it still runs. */
export async function inTerminal(
  line: string,
  {
    columns = 80,
    rows = 24,
    env = {},
  }: { columns?: number; rows?: number; env?: Readonly<Record<string, string>> } = {},
): Promise<Terminal> {
  const steplog = `steplog() { "${process.execPath}" "${programPath("cli/steplog")}" "$@"; }`;
  const command = `tty; stty cols ${columns} rows ${rows}; ${steplog}; ${line}`;
  const { NO_COLOR: _, FORCE_COLOR: __, ...inherited } = process.env;
  const child = spawn("script", ["-qefc", command, "/dev/null"], {
    env: { ...inherited, SHELL: "/bin/bash", TERM: "xterm-256color", LANG: "C.UTF-8", LC_ALL: "", ...env },
    stdio: ["pipe", "pipe", "ignore"],
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  const ended = once(child, "exit").then(([code]) => code as number | null);
  onTestFinished(() => void child.kill("SIGKILL"));
  const output = () => text;
  const page = () => stripVTControlCharacters(text.slice(Math.max(0, text.lastIndexOf("\u001b[H"))));
  await until("the terminal's name", 10_000, () => /\/dev\/pts\/\d+\r\n/u.test(text));
  const [tty = ""] = /\/dev\/pts\/\d+/u.exec(text) ?? [];
  return {
    output,
    page,
    async shows(wanted, where = "page") {
      const seen = () => (where === "page" ? page() : stripVTControlCharacters(text));
      const has = () => (typeof wanted === "string" ? seen().includes(wanted) : wanted.test(seen()));
      await until(`${wanted} in the terminal`, 20_000, has).catch((error: unknown) => {
        throw new Error(`${String(error)}. It has:\n${seen()}`);
      });
    },
    type: (typed) => void child.stdin.write(typed),
    async resize(columns, rows) {
      await promisify(execFile)("stty", ["-F", tty, "cols", String(columns), "rows", String(rows)]);
    },
    ended,
  };
}
