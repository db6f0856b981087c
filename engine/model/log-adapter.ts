/** The adapter that a log trains. */
import type { StepLogHeader } from "../../schema/step-log.ts";
import type { SeededAdapter } from "./adapter.ts";
import type { ModelFolder } from "./folder.ts";
import { loraOfLog } from "./lora.ts";
import { prefixOfLog } from "./prefix.ts";

/** As it began; null where the log trains the model itself. @throws LOG_INVALID when the base has no place for it */
export function adapterOfLog(
  base: ModelFolder,
  header: Pick<StepLogHeader, "trainable" | "lora" | "prefix">,
): SeededAdapter | null {
  if (header.lora) return loraOfLog(base.architecture, header, header.lora);
  return header.prefix ? prefixOfLog(base, header, header.prefix) : null;
}
