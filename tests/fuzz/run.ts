/**
 * Runs a door's child and watches it from outside, since a loop that never ends cannot be seen from within. A fault at one
 * input does not lose the rest: a new child goes on after it. Inputs that were being fed when a child ended are fed again,
 * each alone, to see which of them it was; one that was only late, on a busy machine, is no fault if it is in time alone.
 */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { ChildMessage, Counts } from "./child.ts";

const hangMs = 10_000;
const watchMs = 500;
const startMs = 300_000;
/** A door with more is broken; the rest would take long and say nothing new. */
const maxFaults = 20;

export interface FuzzReport {
  readonly taken: number;
  readonly refused: number;
  /** Inputs that were late among others and in time alone. */
  readonly late: number;
  /** Of a whole process, at its highest. */
  readonly peakMb: number;
  /** Inputs that were answered wrongly: an error without a type, a crash, no answer for 10 s, too much memory. */
  readonly faults: readonly string[];
}

export interface FuzzOptions {
  readonly door: string;
  readonly seed: number;
  readonly first: number;
  readonly count: number;
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  /** Told of each input fed. */
  readonly onFed?: (input: number, counts: Counts) => void;
  /** Told of each fault as it is found. */
  readonly onFault?: (fault: string) => void;
}

interface ChildState {
  counts: Counts;
  readonly faults: string[];
  /** The input to go on with. */
  next: number;
  end: "whole" | "late" | "crash";
  /** Inputs that are being fed, and until when they may take. */
  readonly feeding: Map<number, number>;
}

interface ChildReport extends ChildState {
  /** Inputs without an answer when it ended. */
  readonly unanswered: readonly number[];
  readonly why: string;
}

export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const faults: string[] = [];
  const sum = { taken: 0, refused: 0, late: 0, peakMb: 0 };
  const add = (child: ChildReport) => {
    sum.taken += child.counts.taken;
    sum.refused += child.counts.refused;
    sum.peakMb = Math.max(sum.peakMb, child.counts.peakMb);
    faults.push(...child.faults);
  };
  const end = options.first + options.count;
  for (let next = options.first; next < end && faults.length < maxFaults;) {
    const child = await runChild({ ...options, first: next, count: end - next });
    add(child);
    const crashes: string[] = [];
    for (const input of child.unanswered) {
      const alone = await runChild({ ...options, first: input, count: 1 });
      add(alone);
      if (alone.end !== "whole") crashes.push(alone.why);
      else if (child.end === "late") sum.late += 1;
    }
    if (child.end === "crash" && crashes.length === 0) crashes.push(`${child.why}, but not when it is fed alone`);
    for (const crash of crashes) options.onFault?.(crash);
    faults.push(...crashes);
    next = child.next;
  }
  return { ...sum, faults };
}

/** Runs one child until it ends, or an input is late, or it has too many faults. */
async function runChild(options: FuzzOptions): Promise<ChildReport> {
  const child = startChild(options);
  let errors = "";
  child.stderr?.on("data", (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-4_000)));
  const seen: ChildState = { counts: none, faults: [], next: options.first, end: "crash", feeding: new Map() };
  let openUntil = performance.now() + startMs;
  child.on("message", (message: ChildMessage) => {
    openUntil = Infinity;
    take(message, seen, options);
  });
  let looks = 0;
  const watch = setInterval(() => {
    looks = performance.now() < Math.min(openUntil, ...seen.feeding.values()) ? 0 : looks + 1;
    // Between two looks, messages arrive that have waited while this process itself had no time.
    const late = looks > 1;
    if (!late && seen.faults.length < maxFaults) return;
    seen.end = late ? "late" : "whole";
    child.kill("SIGKILL");
  }, watchMs);
  const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
  clearInterval(watch);
  const how = `its process ended with ${code ?? signal}: ${errors}`;
  if (seen.end !== "whole" && seen.next === options.first) throw new Error(`${options.door} does not open; ${how}`);
  const unanswered = seen.end === "whole" ? [] : [...seen.feeding.keys()];
  const why = seen.end === "late" ? `no answer in ${hangMs / 1_000} s` : how;
  return { ...seen, unanswered, why: `${nameOf(unanswered[0], options)}: ${why}` };
}

function startChild({ door, seed, first, count, folder, env }: FuzzOptions): ChildProcess {
  const program = fileURLToPath(new URL("child.ts", import.meta.url));
  const args = ["--import", "tsx", program, door, String(seed), String(first), String(count), folder];
  return spawn(process.execPath, args, { env: { ...process.env, ...env }, stdio: ["ignore", "ignore", "pipe", "ipc"] });
}

function take(message: ChildMessage, seen: ChildState, options: FuzzOptions): void {
  if (message.type === "end") seen.end = "whole";
  if (message.type === "feeding") {
    seen.feeding.set(message.input, performance.now() + hangMs);
    seen.next = message.input + 1;
  }
  if (message.type === "fed") {
    seen.feeding.delete(message.input);
    seen.counts = message.counts;
    options.onFed?.(message.input, message.counts);
  }
  if (message.type === "fault") {
    const fault = `${nameOf(message.input, options)}: ${message.message}`;
    seen.faults.push(fault);
    options.onFault?.(fault);
  }
}

function nameOf(input: number | undefined, { door, seed }: FuzzOptions): string {
  return `input ${input ?? "none"} of ${door}, seed ${seed}`;
}

const none: Counts = { taken: 0, refused: 0, peakMb: 0 };
