/** Opens a model folder, with or without an adapter, for scoring and generation. */
import { resolve } from "node:path";
import type { Tokenizer } from "../dataset/tokenizer.ts";
import { loadOptionalTokenizer } from "../dataset/tokenizer.ts";
import { chooseDevice } from "../engine/devices/choose.ts";
import { openModelFolder } from "../engine/model/files/folder.ts";
import type { Model } from "../engine/model/model.ts";
import { loadModel } from "../engine/model/model.ts";
import { openAdapter } from "../engine/model/adapters/peft.ts";

export interface ReadingOptions {
  model: string;
  adapter?: string;
  device: string;
}

export async function openForReading(options: ReadingOptions): Promise<{ model: Model; tokenizer: Tokenizer | null }> {
  const folder = await openModelFolder(resolve(options.model));
  const adapter = options.adapter ? await openAdapter(resolve(options.adapter), folder.architecture) : null;
  const { device } = await chooseDevice(options.device);
  const model = await loadModel(folder, device, "rademacher", { adapter });
  return { model, tokenizer: await loadOptionalTokenizer(folder.path) };
}
