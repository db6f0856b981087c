/** Runs a program within a time limit, and reads the line "RESULT {...}" that it prints. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

export interface Program {
  readonly file: string;
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Gets each line of standard error; without it they go to ours. */
  readonly onError?: (line: string) => void;
}

export type Ending =
  | { readonly status: "ok"; readonly result: unknown }
  | { readonly status: "failed" | "timed out"; readonly why: string; readonly result?: unknown };

/** Lines of an error that are kept to say why. */
const lastLines = 6;

export async function runProgram(program: Program, seconds: number): Promise<Ending> {
  const env = { ...process.env, ...program.environment };
  const child = spawn(program.file, program.args, { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  const errors: string[] = [];
  let result: string | null = null;
  createInterface(child.stdout).on("line", (line) => {
    if (line.startsWith("RESULT ")) result = line.slice("RESULT ".length);
  });
  createInterface(child.stderr).on("line", (line) => {
    if (program.onError) program.onError(line);
    else console.error(line);
    errors.push(line);
    if (errors.length > lastLines) errors.shift();
  });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    kill(child.pid);
  }, 1000 * seconds);
  const code = await new Promise<number | string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (exit, signal) => resolve(exit ?? signal ?? "no exit code"));
  });
  clearTimeout(timer);
  if (late) return { status: "timed out", why: `It did not end within ${Math.round(seconds)} s.` };
  if (code === 0 && result !== null) return { status: "ok", result: JSON.parse(result) as unknown };
  const how = typeof code === "number" ? `exit code ${code}` : code;
  return { status: "failed", why: [`${how}.`, ...errors].join("\n") };
}

/** With everything that it has started: its process group. */
function kill(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has just ended.
  }
}
