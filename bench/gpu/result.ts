/**
 * The file that bench/gpu.sh writes: what each stage found, whether it ended or not. It is written again after every stage, so
 * that a machine that goes away takes only the stage that it was in.
 */
import { readFile, rename, writeFile } from "node:fs/promises";
import { z } from "zod";
import { SteplogError } from "../../schema/errors.ts";
import type { Machine } from "../measure.ts";

/** Raised when a field changes its meaning or goes. */
const schemaVersion = 1;

const gpuSchema = z.object({
  name: z.string(),
  driver: z.string(),
  /** For example 9.0 for an H200. */
  computeCapability: z.string(),
  memoryMb: z.number(),
});

/** The GPU as nvidia-smi names it. MB are 10^6 bytes. */
export type Gpu = z.infer<typeof gpuSchema>;

const stageSchema = z.object({
  name: z.string(),
  status: z.enum(["ok", "failed", "timed out", "skipped"]),
  /** Why it is not ok. */
  why: z.string().optional(),
  seconds: z.number(),
  /** Memory of the GPU in MB, of all programs: before the stage, and its peak in the samples. */
  gpuMemory: z.object({ before: z.number(), peak: z.number() }).optional(),
  /** What the stage measured; the shape depends on the stage's kind. */
  result: z.unknown(),
});

/** A stage's report. */
export type StageReport = z.infer<typeof stageSchema>;

const reportSchema = z.object({
  bench: z.literal("gpu"),
  schema: z.literal(schemaVersion),
  started: z.string(),
  device: z.string(),
  tiny: z.boolean(),
  machine: z.custom<Machine>((value) => typeof value === "object" && value !== null),
  gpu: gpuSchema.nullable(),
  stages: z.array(stageSchema),
});

export type GpuReport = z.infer<typeof reportSchema>;

export function reportOf(about: Omit<GpuReport, "bench" | "schema" | "stages">, stages: StageReport[]): GpuReport {
  return { bench: "gpu", schema: schemaVersion, ...about, stages };
}

/** Replaces the file as a whole: a reader sees the report before or after a stage, never half of it. */
export async function writeReport(path: string, report: GpuReport): Promise<void> {
  await writeFile(`${path}.part`, `${JSON.stringify(report, null, 2)}\n`);
  await rename(`${path}.part`, path);
}

/** @throws INVALID_ARGUMENT if the file is not a report of this version */
export async function readReport(path: string): Promise<GpuReport> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new SteplogError("INVALID_ARGUMENT", `${path} cannot be read.`, [], { cause });
  });
  const parsed = reportSchema.safeParse(parsedJson(text));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue ? ` (${issue.path.join(".")}: ${issue.message})` : "";
  throw new SteplogError(
    "INVALID_ARGUMENT",
    `${path} is not a report of bench/gpu.sh, schema ${schemaVersion}${where}.`,
  );
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
