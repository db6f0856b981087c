/**
 * The programs that an install runs: npm, pip, the compiler. Each has a process group of its own, so that an interruption
 * ends the compiler with the make that started it, and so does the death of this process, however it dies. What they print
 * goes to the log, and its last lines into an error.
 */
import type { ChildProcess, SpawnOptions, StdioOptions } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, appendFileSync, constants } from "node:fs";
import { setPriority } from "node:os";
import { delimiter, join } from "node:path";
import { Writable } from "node:stream";

export interface Surroundings {
  readonly env: NodeJS.ProcessEnv;
  /** Everything that programs print is added to it. */
  readonly log: string;
  readonly signal: AbortSignal;
}

export interface Ran {
  /** Null: it could not be started. */
  readonly status: number | NodeJS.Signals | null;
  readonly output: string;
}

interface Program {
  readonly args: readonly string[];
  readonly cwd: string;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Steps of an install leave the machine to whoever works on it. */
const niceness = 10;

/** Runs a program to its end. @throws the signal's reason when it is aborted */
export async function run(
  { env, log, signal }: Surroundings,
  program: string,
  { args, cwd, env: more }: Program,
): Promise<Ran> {
  signal.throwIfAborted();
  appendFileSync(log, `$ ${[program, ...args].join(" ")}\n`);
  const child = spawnGuarded([program, ...args], { cwd, env: { ...env, ...more } });
  const end = () => endGroup(child, "SIGKILL");
  signal.addEventListener("abort", end, { once: true });
  try {
    const ran = await toItsEnd(child, log);
    signal.throwIfAborted();
    return ran;
  } finally {
    signal.removeEventListener("abort", end);
  }
}

/**
 * A shell leaves a guard in the group and becomes the program. The guard reads a pipe that nobody writes to: it ends with
 * this process, even one that was killed, or with the program, and then the guard kills what is left of the group.
 */
const guard = '{ read -r _ <&3; kill -s KILL 0; } >/dev/null 2>&1 & exec "$@" 3<&-';

function spawnGuarded([program, ...args]: readonly [string, ...string[]], where: Pick<SpawnOptions, "cwd" | "env">) {
  if (process.platform === "win32") return spawn(program, args, { ...where, stdio: ["ignore", "pipe", "pipe"] });
  const stdio: StdioOptions = ["ignore", "pipe", "pipe", "pipe"];
  const child = spawn("/bin/sh", ["-c", guard, "sh", program, ...args], { ...where, detached: true, stdio });
  const [, , , pipe] = child.stdio;
  if (pipe instanceof Writable) child.once("exit", () => pipe.destroy());
  return child;
}

async function toItsEnd(child: ChildProcess, log: string): Promise<Ran> {
  let output = "";
  const take = (text: string) => {
    output += text;
    appendFileSync(log, text);
  };
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8");
    stream?.on("data", take);
  }
  try {
    if (child.pid !== undefined) lower(child.pid);
    const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
    return { status: code ?? signal, output };
  } catch (error) {
    return { status: null, output: error instanceof Error ? error.message : String(error) };
  }
}

function lower(pid: number): void {
  try {
    setPriority(pid, niceness);
  } catch {
    // It has ended.
  }
}

function endGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended.
  }
}

/** Where a program is on the PATH. */
export function isOnPath(name: string, env: NodeJS.ProcessEnv): boolean {
  return (env["PATH"] ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** The last lines that say something, on one line, for an error: a program's own before those of what started it. */
export function lastLines(output: string): string {
  const lines = output.split("\n").map((line) => line.trim());
  const said = lines.filter(
    (line) => line !== "" && !/^(?:gyp|npm|node-pre-gyp) (?:info|verb|http|notice)\b/u.test(line),
  );
  const errors = said.filter((line) => /\berror\b|cannot|not found|no space|no matching/iu.test(line));
  const inner = errors.filter((line) => !/^(?:gyp|npm|node-pre-gyp) (?:err!|error)/iu.test(line));
  const best = [inner, errors, said].find((found) => found.length > 0) ?? [];
  return best.slice(-3).join(" | ").slice(-600) || "it printed nothing";
}
