/** What this worker can do, as its claims and its reports say. */
import { totalmem } from "node:os";
import type { Device, Precision } from "../engine/devices/device.ts";
import { familyNames } from "../engine/model/families/all.ts";
import type { PrecisionKind } from "../schema/hyperparameters.ts";
import type { Capabilities, NamedModel } from "../schema/jobs.ts";

const precisionKinds: Readonly<Record<Precision, PrecisionKind>> = { float32: "FLOAT32", bfloat16: "BFLOAT16" };

export function capabilitiesOf(
  precisions: readonly Precision[],
  models: readonly NamedModel[],
  memoryBytes: number,
): Omit<Capabilities, "kinds"> {
  return {
    families: familyNames,
    precisions: precisions.map((precision) => precisionKinds[precision]),
    memoryBytes,
    models,
  };
}

/**
 * The memory for weights: the device's own, or the machine's, or less where a container is limited. Without a limit Node gives 0
 * or a number beyond any memory.
 */
export function memoryFor({ memoryBytes = Infinity }: Pick<Device, "memoryBytes">): number {
  const limit = process.constrainedMemory();
  return Math.min(limit > 0 ? limit : Infinity, totalmem(), memoryBytes);
}
