/** The kinds of adapters, and which one a log trains. */
import type { StepLogHeader } from "../../../schema/step-log.ts";
import type { ModelFolder } from "../files/folder.ts";
import type { LoraAdapter, SeededLora } from "./lora.ts";
import { loraOfLog } from "./lora.ts";
import type { PrefixAdapter, SeededPrefix } from "./prefix.ts";
import { prefixOfLog } from "./prefix.ts";

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
