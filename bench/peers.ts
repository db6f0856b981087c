/**
 * bench peers: runs other programs and ours in turn, so that all have the same machine on the same day. Each runs in its own
 * process with the same shapes. bench/README.md defines what a peer must accept and print.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { z } from "zod";
import type { Precision } from "../engine/devices/device.ts";
import { SteplogError } from "../schema/errors.ts";
import type { Machine } from "./measure.ts";
import { machine, median } from "./measure.ts";
import type { ReplayResult } from "./replay.ts";
import type { StepResult } from "./step.ts";
import { programPath } from "../schema/package.ts";

export interface PeerOptions {
  readonly peers: string;
  readonly python: string;
  readonly variants: readonly string[];
  readonly replays: readonly string[];
  readonly device: string;
  /** Config of our runs; the peers have opt-125m built in. */
  readonly config: string;
  /** Format of products in our bfloat16 run; the float32 run uses float32. */
  readonly multiply: Precision;
  readonly batch: number;
  readonly tokens: number;
  readonly steps: number;
  readonly entries: number;
  readonly rounds: number;
  readonly threads?: number;
}

/** One program's numbers over all rounds. */
export interface Contender {
  readonly group: "step" | "replay";
  readonly name: string;
  readonly dtype: "f32" | "bf16";
  readonly ours: boolean;
  /** Median over the rounds of the median time of a step, or of replaying the log once. */
  readonly seconds: number;
  /** The fastest sample of all rounds. */
  readonly min: number;
  /** Peak in MB while it was measured. */
  readonly peakMemory: number;
  /** Versions and settings, as reported by the program. */
  readonly about: string;
  readonly command: string;
}

export interface PeersResult {
  readonly bench: "peers";
  readonly options: PeerOptions;
  readonly contenders: readonly Contender[];
  readonly machine: Machine;
}

/** A program to run. */
interface Program extends Pick<Contender, "group" | "name" | "dtype" | "ours"> {
  readonly file: string;
  readonly args: readonly string[];
  readonly read: (stdout: string) => Outcome;
}

type Outcome = Pick<Contender, "seconds" | "min" | "peakMemory" | "about">;

export async function benchPeers(options: PeerOptions): Promise<PeersResult> {
  const programs = [...ours(options), ...theirs(options)];
  const outcomes = new Map<Program, Outcome[]>(programs.map((program) => [program, []]));
  for (let round = 0; round < options.rounds; round++) {
    for (const program of programs) {
      console.error(`Round ${round + 1} of ${options.rounds}: ${commandOf(program)}`);
      outcomes.get(program)?.push(program.read(await outputOf(program)));
    }
  }
  const contenders = programs.map((program) => contender(program, outcomes.get(program) ?? []));
  return { bench: "peers", options, contenders, machine: machine() };
}

function contender(program: Program, outcomes: readonly Outcome[]): Contender {
  const { group, name, dtype, ours } = program;
  return {
    group,
    name,
    dtype,
    ours,
    seconds: median(outcomes.map(({ seconds }) => seconds)),
    min: Math.min(...outcomes.map(({ min }) => min)),
    peakMemory: Math.max(...outcomes.map(({ peakMemory }) => peakMemory)),
    about: outcomes[0]?.about ?? "",
    command: commandOf(program),
  };
}

/**
 * Our runs use normal noise, like the peers. The peers score every token, as MeZO's code does, although only the answer has
 * labels; ours are measured both ways. The first run of a dtype is the reference for the ratios.
 */
function ours(options: PeerOptions): Program[] {
  const { config, batch, tokens, steps, entries, device, threads } = options;
  const main = programPath("bench/main");
  const common = ["--config", config, "--device", device, "--json"];
  const threaded = threads === undefined ? [] : ["--threads", String(threads)];
  const measured = (command: string, dtype: "f32" | "bf16", how: string, args: readonly (string | number)[]) => ({
    name: `Steplog ${dtype}${how}`,
    dtype,
    ours: true,
    file: process.execPath,
    args: [main, command, ...common, ...threaded, "--dtype", dtype, ...args.map(String)],
  });
  const step = (dtype: "f32" | "bf16", how: string, multiply: Precision, labels: string) => {
    const args = ["--batch", batch, "--tokens", tokens, "--labels", labels, "--steps", steps];
    const own = measured("step", dtype, how, ["--noise", "normal", ...args, "--multiply", multiply]);
    return { ...own, group: "step" as const, read: readStep };
  };
  const answer = String(Math.min(8, tokens - 1));
  const replay = (how: string, noise: string) => {
    const own = measured("replay", "f32", how, ["--noise", noise, "--entries", entries]);
    return { ...own, group: "replay" as const, read: readReplay };
  };
  const mixed =
    options.multiply === "float32" ? [] : [step("f32", `, ${options.multiply} products`, options.multiply, answer)];
  return [
    step("f32", "", "float32", answer),
    step("f32", ", every token scored", "float32", "all"),
    ...mixed,
    step("bf16", "", options.multiply, answer),
    step("bf16", ", every token scored", options.multiply, "all"),
    replay("", "normal"),
    replay(", rademacher", "rademacher"),
  ];
}

function readStep(stdout: string): Outcome {
  const { step, memory, device } = JSON.parse(stdout) as StepResult;
  return { seconds: step.median, min: step.min, peakMemory: memory.peak, about: device };
}

function readReplay(stdout: string): Outcome {
  const { replay, peakMemory, device } = JSON.parse(stdout) as ReplayResult;
  return { seconds: replay.median, min: replay.min, peakMemory, about: device };
}

function theirs(options: PeerOptions): Program[] {
  const { batch, tokens, steps, entries, threads, peers, python } = options;
  const threaded = threads === undefined ? [] : ["--threads", String(threads)];
  const program = (group: Contender["group"], script: string, variant: string, args: readonly (string | number)[]) => ({
    group,
    name: variant,
    dtype: /bf16|mixed/u.test(variant) ? ("bf16" as const) : ("f32" as const),
    ours: false,
    file: python,
    args: [join(peers, script), "--variant", variant, ...threaded, ...args.map(String)],
    read: readPeer,
  });
  return [
    ...options.variants.map((variant) =>
      program("step", "mezo_step.py", variant, ["--batch", batch, "--seq", tokens, "--steps", steps]),
    ),
    ...options.replays.map((variant) => program("replay", "replay.py", variant, ["--n", entries])),
  ];
}

const peerSchema = z.object({
  step: z.object({ median: z.number(), min: z.number() }),
  peak_rss_steps_mb: z.number(),
  source: z.string().default(""),
  machine: z.record(z.string(), z.unknown()).default({}),
});

function readPeer(stdout: string): Outcome {
  const line = stdout.split("\n").findLast((text) => text.startsWith("RESULT "));
  const parsed = peerSchema.safeParse(line === undefined ? null : JSON.parse(line.slice("RESULT ".length)));
  if (!parsed.success) throw new SteplogError("INTERNAL", `A peer printed no valid RESULT line: ${stdout}`);
  const { step, peak_rss_steps_mb: mebibytes, source, machine: at } = parsed.data;
  const versions = ["torch", "transformers"].flatMap((name) => (name in at ? [`${name} ${String(at[name])}`] : []));
  return {
    seconds: step.median,
    min: step.min,
    peakMemory: (mebibytes * 2 ** 20) / 1e6,
    about: [...versions, source].filter((part) => part !== "").join(", "),
  };
}

function commandOf({ ours, file, args }: Program): string {
  if (!ours) return [file, ...args].join(" ");
  return `npm run -s bench -- ${args.slice(1).join(" ")}`;
}

/** The output of a program. Huge pages make the compiled peers fastest. */
async function outputOf(program: Program): Promise<string> {
  const env = { ...process.env, THP_MEM_ALLOC_ENABLE: "1" };
  const child = spawn(program.file, program.args, { env, stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  let stdout = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  const code = await ended;
  if (code === 0) return stdout;
  throw new SteplogError("INTERNAL", `${commandOf(program)} exited with code ${code}.`);
}
