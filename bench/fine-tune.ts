/** Fine-tunes of a benchmark: what a worker would be asked, without a store. */
import { join } from "node:path";
import { baseHash, openModelFolder } from "../engine/model/files/folder.ts";
import type { FineTuneRequest } from "../engine/thread/messages.ts";
import type { PlannedRun } from "../schema/estimate.ts";
import { packagePath } from "../schema/package.ts";

/** A task: a base, its rows, and the words to choose from. */
export type Task = Omit<PlannedRun, "hyperparameters">;

const demo = (name: string) => packagePath(`demo/${name}`);

export const demoTask: Task = {
  modelPath: demo("base"),
  datasetPath: demo("train.jsonl"),
  validationPath: demo("validation.jsonl"),
  testPath: null,
  labelWords: [" great", " terrible"],
  calibrationPrompt: null,
};

/** A run from its first step. @param scratch a folder for the cache of base hashes */
export async function requestOf(run: PlannedRun, scratch: string): Promise<FineTuneRequest> {
  return {
    kind: "FINE_TUNE",
    ...run,
    base: await baseHash(await openModelFolder(run.modelPath)),
    hashesDir: join(scratch, "hashes"),
    fork: null,
    entries: { seed: run.hyperparameters.seed, scalars: new Uint8Array(), decays: null },
    stepsDone: 0,
    losses: new Float64Array(),
    evaluated: [],
    pickedRate: null,
    weightsDir: null,
  };
}
