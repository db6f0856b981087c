/** Memory of the TensorFlow device by formula. docs/GPU.md has it as a table. */
import { configureModel } from "../../engine/model/families/all.ts";
import { elementCount } from "../../engine/devices/device.ts";
import { configNamed } from "../configs.ts";

/** Bytes that a bfloat16 model of a config needs while it is trained: the weights, and room for a step. */
export async function bytesNeeded(config: string): Promise<number> {
  const { tensors } = configureModel(await configNamed(config));
  const elements = tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  return 2 * elements + 4e9;
}
