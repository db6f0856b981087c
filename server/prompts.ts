/**
 * Prompts to tokens, in a sandbox of its own: somebody waits for each of these, so they do not queue behind datasets, and its
 * processes keep the tokenizers of the last few models.
 */
import type { AskedTokens, Question, askTokens } from "../dataset/ask.ts";
import { SteplogError } from "../schema/errors.ts";
import { programPath } from "../schema/package.ts";
import { counted } from "../schema/units.ts";
import type { BaseModel } from "../schema/tables.ts";
import type { Context } from "./context.ts";
import { withModelFolder } from "./model-folder.ts";
import { tokenizerFiles } from "./row-checks.ts";

/** For the sandbox of prompts. */
export const promptSandbox = { places: 3, idleMs: 600_000 } as const;

/** A request has 4 MB at most; four tokenizers are kept. Anything that takes this long is made to harm. */
const promptLimits = { heapMb: 1_024, memoryMb: 1_408, stalledMs: 6_000, totalMs: 20_000 } as const;

/** A request that is longer than the model's context, alone or with what it asks for. */
export class ContextExceeded extends SteplogError {
  constructor(field: string, message: string) {
    super("INVALID_ARGUMENT", `${field}: ${message}.`, [{ field, message }]);
  }
}

/** Tokens of prompts that all fit. */
export type FittingTokens = Omit<AskedTokens, "prompts"> & { readonly prompts: readonly (readonly number[])[] };

type Prompts = Omit<Question, "folder" | "model" | "tokenizerKey">;

interface PromptServices extends Pick<Context, "store" | "sandbox" | "modelsDir" | "signal"> {}

/** @throws what `askTokens` throws; ContextExceeded for a prompt of more than `room` tokens */
export async function tokensOf(services: PromptServices, model: BaseModel, prompts: Prompts): Promise<FittingTokens> {
  const { name, hash } = model;
  const tokens = await withModelFolder(services, model, async (folder) => {
    const tokenizerKey = `${hash}\n${await tokenizerFiles(folder)}`;
    return services.sandbox.run<typeof askTokens>({
      file: programPath("dataset/ask"),
      name: "askTokens",
      input: { ...prompts, folder, model: name, tokenizerKey },
      limits: promptLimits,
      blame: { code: "INVALID_ARGUMENT", doing: "Reading the prompt" },
      topic: tokenizerKey,
      signal: services.signal,
    });
  });
  return { ...tokens, prompts: tokens.prompts.map((its, index) => fitting(its, prompts, index)) };
}

function fitting(tokens: readonly number[] | null, { prompts, room }: Prompts, index: number): readonly number[] {
  if (tokens && tokens.length <= room) return tokens;
  const seen = tokens ? counted(tokens.length, "token") : `more than ${counted(room, "token")}`;
  throw new ContextExceeded(
    prompts[index]?.field ?? "prompt",
    `has ${seen}, but the model's context has room for ${room}`,
  );
}
