/** Runs a door's child and watches it from outside, since a loop that never ends cannot be seen from within. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { ChildMessage } from "./child.ts";

const hangMs = 10_000;
const startMs = 120_000;

export interface FuzzReport {
  readonly taken: number;
  readonly refused: number;
  /** Of the whole process, at its highest. */
  readonly peakMb: number;
  /** Inputs that were answered wrongly: an error without a type, a crash, no answer for 10 s. */
  readonly faults: readonly string[];
}

export interface FuzzOptions {
  readonly door: string;
  readonly seed: number;
  readonly first: number;
  readonly count: number;
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
}

export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const { door, seed, first, count, folder, env } = options;
  const program = fileURLToPath(new URL("child.ts", import.meta.url));
  const args = ["--import", "tsx", program, door, String(seed), String(first), String(count), folder];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let errors = "";
  child.stderr?.on("data", (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-4_000)));
  const faults: string[] = [];
  let report = { taken: 0, refused: 0, peakMb: 0 };
  let last = first - 1;
  let ended = false;
  const hang = () => {
    faults.push(`input ${last} of ${door}, seed ${seed}: no answer within ${hangMs / 1_000} s`);
    child.kill("SIGKILL");
  };
  let watch = setTimeout(hang, startMs);
  child.on("message", (message: ChildMessage) => {
    clearTimeout(watch);
    watch = setTimeout(hang, hangMs);
    if (message.type === "feeding") last = message.input;
    if (message.type === "fault")
      faults.push(`input ${message.input} of ${door}, seed ${seed}: ${message.message}\n${message.bytes}`);
    if (message.type === "end") [ended, report] = [true, message];
  });
  const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
  clearTimeout(watch);
  if (!ended && signal !== "SIGKILL")
    faults.push(`input ${last} of ${door}, seed ${seed}: the process ended with ${code ?? signal}:\n${errors}`);
  return { taken: report.taken, refused: report.refused, peakMb: report.peakMb, faults };
}
