/** What this worker can do, as its claims and its reports say. */
import { totalmem } from "node:os";
import type { Precision } from "../engine/devices/device.ts";
import { familyNames } from "../engine/model/families/all.ts";
import type { PrecisionKind } from "../schema/hyperparameters.ts";
import type { Capabilities, NamedModel } from "../schema/jobs.ts";

const precisionKinds: Readonly<Record<Precision, PrecisionKind>> = { float32: "FLOAT32", bfloat16: "BFLOAT16" };

export function capabilitiesOf(
  precisions: readonly Precision[],
  models: readonly NamedModel[],
): Omit<Capabilities, "kinds"> {
  return {
    families: familyNames,
    precisions: precisions.map((precision) => precisionKinds[precision]),
    memoryBytes: memoryBytes(),
    models,
  };
}

/** The machine's memory, or less where a container is limited; without a limit Node gives 0 or a number beyond any memory. */
export function memoryBytes(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}
