/** Workers as jobs of Slurm, by its own commands: how many there are, and one more. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { SteplogError } from "../schema/errors.ts";
import { packagePath } from "../schema/package.ts";

/** What a worker's job is: its name in Slurm, the script, and options of sbatch that come before those of the script. */
export interface SlurmWorker {
  readonly name: string;
  readonly script: string;
  readonly options: readonly string[];
}

export const usualScript = packagePath("deploy/slurm/worker.sbatch");

/** Jobs of this name and user that run or are about to. */
export async function countJobs(name: string): Promise<number> {
  const states = "PENDING,CONFIGURING,RUNNING";
  const listed = await run("squeue", ["--me", "--noheader", "--format=%i", `--name=${name}`, `--states=${states}`]);
  return listed.split("\n").filter((line) => line.trim() !== "").length;
}

/** The id of the new job. Its worker is of the pool of that name: sbatch gives the job what it finds in its environment. */
export async function submitJob({ name, options, script }: SlurmWorker): Promise<string> {
  const env = { STEPLOG_WORKER_POOL: name };
  return (await run("sbatch", ["--parsable", `--job-name=${name}`, ...options, script], env)).trim();
}

/** @throws UNAVAILABLE with what the command said */
async function run(program: string, args: readonly string[], more: NodeJS.ProcessEnv = {}): Promise<string> {
  try {
    const env = { ...process.env, ...more };
    return (await promisify(execFile)(program, [...args], { encoding: "utf8", env })).stdout;
  } catch (cause) {
    const { code, stderr = "" } = cause as { readonly code?: unknown; readonly stderr?: string };
    const missing = "it is not there. Slurm's commands must be on this machine";
    const why = code === "ENOENT" ? missing : stderr.trim() || `exit status ${String(code)}`;
    throw new SteplogError("UNAVAILABLE", `${program} failed: ${why}.`, [], { cause });
  }
}
