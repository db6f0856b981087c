/** The kinds of adapters, and which one a log trains. */
import type { AdapterShapes } from "../../../schema/adapter-size.ts";
import type { StepLogHeader } from "../../../schema/step-log.ts";
import { elementCount } from "../../devices/device.ts";
import type { Architecture } from "../families/family.ts";
import type { ModelFolder } from "../files/folder.ts";
import type { LoraAdapter, SeededLora } from "./lora.ts";
import { linearModules, loraOfLog } from "./lora.ts";
import type { PrefixAdapter, SeededPrefix } from "./prefix.ts";
import { prefixOfLog, prefixTensor } from "./prefix.ts";

export type AnyAdapter = LoraAdapter | PrefixAdapter;
export type AnySeededAdapter = SeededLora | SeededPrefix;

/** The adapter at its start; null if the log trains the model itself. @throws LOG_INVALID if it does not fit the base */
export function adapterOfLog(
  base: ModelFolder,
  header: Pick<StepLogHeader, "trainable" | "lora" | "prefix">,
): AnySeededAdapter | null {
  if (header.lora) return loraOfLog(base.architecture, header, header.lora);
  return header.prefix ? prefixOfLog(base, header, header.prefix) : null;
}

/** From which the sizes of adapters follow, layers in the order of `linearModules`. */
export function adapterShapes(architecture: Architecture): AdapterShapes {
  return {
    layers: linearModules(architecture).map(({ inputs, outputs }) => [inputs, outputs]),
    prefix: elementCount(prefixTensor(architecture, 1).shape),
  };
}
