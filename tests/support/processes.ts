/** Real processes of the steplog command, for tests that kill them. */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { onTestFinished } from "vitest";
import { programPath } from "../../schema/package.ts";

const command = programPath("cli/steplog");

export interface Running {
  readonly child: ChildProcess;
  /** What it said when it was ready. */
  readonly ready: Promise<Readonly<Record<string, unknown>>>;
  /** Everything it printed so far, both streams. */
  output: (this: void) => string;
  /** Ends with the exit code, or the signal's name. */
  readonly ended: Promise<number | string>;
  kill(signal: NodeJS.Signals): Promise<number | string>;
}

/** Starts the command; it is killed at the end of the test if it still runs. @param program of another release */
export function startSteplog(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  program = command,
): Running {
  const { DATABASE_URL: _, ...inherited } = process.env;
  const child = spawn(process.execPath, [program, ...args], {
    env: { ...inherited, ...env },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const ended = once(child, "exit").then(([code, signal]) => (code ?? signal) as number | string);
  const ready = Promise.race([
    new Promise<Record<string, unknown>>((resolve) =>
      child.on("message", (told: Record<string, unknown>) => told["type"] === "ready" && resolve(told)),
    ),
    ended.then((status) => {
      throw new Error(`steplog ${args.join(" ")} ended with ${status} before it was ready:\n${text}`);
    }),
  ]);
  ready.catch(() => {});
  const kill = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    return ended;
  };
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) await kill("SIGKILL");
  });
  return { child, ready, ended, kill, output: () => text };
}

export interface Finished {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command to its end. */
export function runSteplog(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Finished> {
  return finished(process.execPath, [command, ...args], env);
}

/** Runs a line of bash, in which `steplog` is the command. */
export function runShell(line: string): Promise<Finished> {
  return finished("bash", ["-c", `steplog() { "${process.execPath}" "${command}" "$@"; }; ${line}`], {});
}

async function finished(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Finished> {
  const child = spawn(program, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk: Buffer) => (output.stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (output.stderr += chunk.toString()));
  const [code, signal] = (await once(child, "close")) as [number | null, string | null];
  return { code: code ?? signal ?? "unknown", ...output };
}
