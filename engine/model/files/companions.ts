/** The files of a model folder other than its weights: config, generation config, tokenizer, chat template, licence. */
import { copyFile, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { OutputDtype } from "../../../schema/output-dtype.ts";
import type { TrainableTensor } from "../../../schema/step-log.ts";
import type { ModelFolder } from "./folder.ts";
import { originName } from "./origin.ts";

/** Files that transformers reads with a model, and licences. */
const companions = [
  /^(?:config|generation_config|special_tokens_map|added_tokens|vocab)\.json$/u,
  /^tokenizer[\w.-]*$/u,
  /^(?:merges|vocab)\.txt$/u,
  /^(?:sentencepiece\.bpe|spiece)\.model$/u,
  /^chat_template\.(?:json|jinja)$/u,
  /^(?:licen[cs]e|notice|use_policy|copying)[\w.-]*$/iu,
];

export function isCompanion(name: string): boolean {
  return companions.some((pattern) => pattern.test(name));
}

const weights = /\.(?:safetensors|bin|pt|pth|h5|msgpack|gguf|onnx)$|\.index\.json$/u;

/** Names of the files of a base other than its weights. */
export async function companionNames(path: string): Promise<string[]> {
  const names: string[] = [];
  for (const name of await readdir(path)) {
    if (name.startsWith(".") || name === originName || weights.test(name)) continue;
    // stat follows links: in the hub's own cache every file is one.
    if ((await stat(join(path, name))).isFile()) names.push(name);
  }
  return names;
}

/**
 * Copies the files of a base other than its weights (those whose names are `wanted`), and sets the dtype in the copied config
 * to `dtype`, if there is one.
 * @returns the paths of the copies
 */
export async function copyCompanions(
  base: ModelFolder,
  dtype: OutputDtype | null,
  to: string,
  wanted: (name: string) => boolean = () => true,
): Promise<string[]> {
  const copied: string[] = [];
  for (const name of (await companionNames(base.path)).filter(wanted)) {
    await copyFile(join(base.path, name), join(to, name));
    copied.push(join(to, name));
  }
  if (dtype !== null) await setDtype(dtype, to);
  return copied;
}

/**
 * What the config of a trained model has to name as its dtype; null for what the base's has. A float16 base is trained and
 * written as float32, and transformers loads weights in the dtype of the config: rounding them back to float16 would lose many
 * updates.
 */
export function dtypeOfTrained(base: ModelFolder, trained: readonly TrainableTensor[]): OutputDtype | null {
  const names = new Set(trained.map(({ name }) => name));
  return base.tensors.some(({ name, dtype }) => dtype === "F16" && names.has(name)) ? "float32" : null;
}

/**
 * Changes only these fields of the text: JavaScript would write 30.0 as 30, and transformers 5 refuses an integer where a config
 * has a float.
 */
async function setDtype(dtype: OutputDtype, folder: string): Promise<void> {
  const path = join(folder, "config.json");
  const text = await readFile(path, "utf8");
  // The copy has the mode of the original, which may be read-only.
  await rm(path);
  await writeFile(path, text.replaceAll(/("(?:torch_)?dtype"\s*:\s*)(?:"[^"\\]*"|null)/gu, `$1"${dtype}"`));
}
