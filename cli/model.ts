/** A model folder opened for scoring and generation. */
import { resolve } from "node:path";
import type { Tokenizer } from "../dataset/tokenizer.ts";
import { loadOptionalTokenizer } from "../dataset/tokenizer.ts";
import { chooseDevice } from "../engine/devices/choose.ts";
import { openModelFolder } from "../engine/model/folder.ts";
import type { Model } from "../engine/model/model.ts";
import { loadModel } from "../engine/model/model.ts";

export async function openForReading(
  path: string,
  deviceName: string,
): Promise<{ model: Model; tokenizer: Tokenizer | null }> {
  const folder = await openModelFolder(resolve(path));
  const { device } = await chooseDevice(deviceName);
  const model = await loadModel(folder, device, "rademacher");
  return { model, tokenizer: await loadOptionalTokenizer(folder.path) };
}
