/** What a run will do, counted in the sandbox: the rows, tokenizer and config that it reads are foreign. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { limitsFor } from "../sandbox/limits.ts";
import type { Reporter } from "../sandbox/messages.ts";
import type { PlannedRun, RunCounts } from "../schema/estimate.ts";
import { programPath } from "../schema/package.ts";
import type { Context } from "./context.ts";

/** engine/estimate/count.ts exports it. The gateway, which knows nothing of models, has it run elsewhere. */
type CountRun = (run: PlannedRun, reporter: Reporter) => Promise<RunCounts>;

/** @throws DATASET_INVALID, MODEL_INVALID, INVALID_ARGUMENT: what the run would fail with before its first step */
export async function countRun({ sandbox, signal }: Context, run: PlannedRun): Promise<RunCounts> {
  const paths = [run.datasetPath, run.validationPath, run.testPath, join(run.modelPath, "tokenizer.json")];
  const sizes = await Promise.all(paths.map(sizeOf));
  return sandbox.run<CountRun>({
    file: programPath("engine/estimate/count"),
    name: "countRun",
    input: run,
    limits: limitsFor(sizes.reduce((sum, size) => sum + size, 0)),
    blame: { code: "DATASET_INVALID", doing: "Counting what the run will read" },
    signal,
  });
}

async function sizeOf(path: string | null): Promise<number> {
  if (path === null) return 0;
  return (await stat(path).catch(() => ({ size: 0 }))).size;
}
