/** Tries the tokenizer of a model folder, in the sandbox. */
import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { checkTokenizer } from "../dataset/tasks.ts";
import { limitsFor } from "../sandbox/limits.ts";
import { Sandbox } from "../sandbox/sandbox.ts";
import { programPath } from "../schema/package.ts";

/** Whether the folder has a tokenizer. @throws MODEL_INVALID, MODEL_UNSUPPORTED for one that does not work */
export async function tryTokenizer(folder: string): Promise<boolean> {
  const sandbox = new Sandbox();
  try {
    const { size } = await stat(join(folder, "tokenizer.json")).catch(() => ({ size: 0 }));
    return await sandbox.run<typeof checkTokenizer>({
      file: programPath("dataset/tasks"),
      name: "checkTokenizer",
      input: { folder: resolve(folder) },
      limits: limitsFor(size),
      blame: { code: "MODEL_INVALID", doing: "Loading the tokenizer" },
    });
  } finally {
    sandbox.close();
  }
}
