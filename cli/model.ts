/**
 * Opens a model folder, with or without an adapter, for scoring and generation. Whatever runs code of the folder, such as the
 * patterns of its tokenizer, or parses rows, does so in the sandbox.
 */
import { stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { blameModel } from "../dataset/model-text.ts";
import type { decodeTokens, encodePrompt, encodeRowsOf } from "../dataset/tasks.ts";
import { openAdapter } from "../engine/model/adapters/peft.ts";
import { chooseDevice } from "../engine/devices/choose.ts";
import { openModelFolder } from "../engine/model/files/folder.ts";
import type { Model } from "../engine/model/model.ts";
import { loadModel } from "../engine/model/model.ts";
import { limitsForFolder, tryInSandbox } from "../models/folder-checks.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { programPath } from "../schema/package.ts";
import { devicesFolder } from "./config.ts";

export interface ReadingOptions {
  model: string;
  adapter?: string;
  device: string;
}

/** @throws NOT_FOUND, MODEL_INVALID, MODEL_UNSUPPORTED, DEVICE_UNAVAILABLE */
export async function openForReading(sandbox: Sandbox, options: ReadingOptions): Promise<Model> {
  const path = resolve(options.model);
  const adapterPath = options.adapter && resolve(options.adapter);
  await tryInSandbox(sandbox, { path, adapter: adapterPath });
  const folder = await openModelFolder(path);
  const adapter = adapterPath ? await openAdapter(adapterPath, folder.architecture) : null;
  const { device } = await chooseDevice(options.device, { devicesDir: devicesFolder() });
  return loadModel(folder, device, "rademacher", { adapter });
}

/** The rows of a file. @throws DATASET_INVALID, MODEL_INVALID */
export async function encodeFile(sandbox: Sandbox, { folder, contextLength }: Model, data: string) {
  const { vocabulary, kind } = folder.architecture;
  const path = resolve(data);
  return sandbox.run<typeof encodeRowsOf>({
    ...inTasks("encodeRowsOf", folder.path),
    input: { ...keyed(folder.path), path, labelWords: [], bounds: { contextLength, vocabulary, kind } },
    limits: await limitsForFolder(folder.path, (await stat(path)).size),
  });
}

/** The tokens of a prompt; null without a tokenizer. @throws MODEL_INVALID */
export async function encodePromptOf(sandbox: Sandbox, { folder: { path } }: Model, prompt: string) {
  const limits = await limitsForFolder(path, prompt.length);
  return sandbox.run<typeof encodePrompt>({
    ...inTasks("encodePrompt", path),
    input: { ...keyed(path), prompt },
    limits,
  });
}

/** The text of tokens; null without a tokenizer. @throws MODEL_INVALID */
export async function textOf(sandbox: Sandbox, { folder: { path } }: Model, tokens: readonly number[]) {
  const limits = await limitsForFolder(path, tokens.length);
  return sandbox.run<typeof decodeTokens>({
    ...inTasks("decodeTokens", path),
    input: { ...keyed(path), tokens },
    limits,
  });
}

function inTasks(name: string, path: string) {
  return { file: programPath("dataset/tasks"), name, blame: blameModel(`Tokenising with the files of ${path}`) };
}

function keyed(folder: string) {
  return { folder, model: basename(folder), tokenizerKey: folder };
}
