/** Tries a device in a fresh process: a broken library ends that process, not this one. */
import { z } from "zod";
import type { InstallableName } from "../engine/devices/tensorflow/packages.ts";
import { programPath } from "../schema/package.ts";
import type { Surroundings } from "./programs.ts";
import { run } from "./programs.ts";

const answerSchema = z.union([
  z.object({ opens: z.literal(true), description: z.string(), precisions: z.array(z.string()), onGpu: z.boolean() }),
  z.object({ opens: z.literal(false), why: z.string() }),
]);

export type Answer = z.infer<typeof answerSchema>;

/** What came of a trial; and what the library said about a GPU, where it was asked to. */
export type Trial = Answer & { readonly remarks: readonly string[] };

export type TrialRequest =
  /** As STEPLOG_DEVICE names it. */
  | { readonly device: string; readonly devicesDir: string }
  /** That one, even where it finds no GPU, as when an image is built. */
  | { readonly installed: InstallableName; readonly devicesDir: string };

/** Opens the device and has it compute a little, which trial-process.ts does. */
export async function tryInProcess(request: TrialRequest, surroundings: Surroundings): Promise<Trial> {
  const args = [programPath("devices/trial-process"), JSON.stringify(request)];
  // TensorFlow would take all of a GPU's memory, also from a trial beside this one.
  const modest = { TF_FORCE_GPU_ALLOW_GROWTH: "true" };
  const talkative = { TF_CPP_MIN_LOG_LEVEL: "0" };
  const options = { args, cwd: "/", env: { ...modest, ...("installed" in request && talkative) } };
  const { status, output } = await run(surroundings, process.execPath, options);
  const lines = output.split("\n");
  const answer = lines.findLast((line) => line.startsWith("{"));
  if (status === 0 && answer !== undefined) {
    return { ...answerSchema.parse(JSON.parse(answer)), remarks: lines.filter((line) => aboutGpu.test(line)) };
  }
  return { opens: false, why: `the process that opened it ended ${how(status, output)}`, remarks: [] };
}

/** TensorFlow's log, such as "W0000 ... Could not find cuda drivers" or "Created device ... name: NVIDIA H100". */
const aboutGpu = /^[\d: .-]*[IWE].*\b(?:gpus?|cuda|cudnn|nvidia)\b/iu;

function how(status: number | string | null, output: string): string {
  if (typeof status === "string") return `by ${status}`;
  const reason = output.split("\n").find((line) => /error/iu.test(line)) ?? "";
  return `with exit status ${status}${reason === "" ? "" : `: ${reason.trim()}`}`;
}
