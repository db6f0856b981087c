/** Whether a base model takes conversations, found in the sandbox from its tokenizer. */
import type { takesMessages } from "../dataset/tasks.ts";
import { limitsFor } from "../sandbox/limits.ts";
import { SteplogError } from "../schema/errors.ts";
import { programPath } from "../schema/package.ts";
import type { BaseModel } from "../schema/tables.ts";
import type { Context } from "./context.ts";
import { withModelFolder } from "./model-folder.ts";
import { tokenizerFiles } from "./row-checks.ts";

/** Null where this cannot be said now: the folder is not here, or its tokenizer cannot be used. */
export async function hasChatTemplate(context: Context, model: BaseModel): Promise<boolean | null> {
  try {
    return await withModelFolder(context, model, async (folder) => {
      const files = await tokenizerFiles(folder);
      if (files === "") return null;
      return context.sandbox.run<typeof takesMessages>({
        file: programPath("dataset/tasks"),
        name: "takesMessages",
        input: { folder, tokenizerKey: `${model.hash}\n${files}` },
        limits: limitsFor(0),
        blame: { code: "MODEL_INVALID", doing: `Loading the tokenizer of ${model.name}` },
        topic: model.hash,
        signal: context.signal,
      });
    });
  } catch (error) {
    const isItsFault = error instanceof SteplogError && /^(?:MODEL_|UNAVAILABLE)/u.test(error.code);
    if (isItsFault) return null;
    throw error;
  }
}
