/** Definitions of the tensors of common parts, with their names and shapes in transformers. */
import type { WeightLayout } from "../../devices/device.ts";
import type { TensorDefinition } from "./family.ts";

export function matrix(name: string, rows: number, columns: number): TensorDefinition {
  return { name, shape: [rows, columns], init: "normal" };
}

export function biasVector(name: string, size: number): TensorDefinition {
  return { name, shape: [size], init: "zeros" };
}

/** torch's Linear with weight [outputs, inputs], or Conv1D with [inputs, outputs]; with a bias [outputs] if it has one. */
export function linear(
  name: string,
  outputs: number,
  inputs: number,
  bias: boolean,
  layout: WeightLayout = "out-in",
): TensorDefinition[] {
  const [rows, columns] = layout === "out-in" ? [outputs, inputs] : [inputs, outputs];
  const weight = { ...matrix(`${name}.weight`, rows, columns), linear: layout };
  return [weight, ...(bias ? [biasVector(`${name}.bias`, outputs)] : [])];
}

export function layerNorm(name: string, size: number): TensorDefinition[] {
  return [{ name: `${name}.weight`, shape: [size], init: "ones" }, biasVector(`${name}.bias`, size)];
}

/** The norm adds `offset` to its weight, which is initialised to 1 - offset. */
export function rmsNorm(name: string, size: number, offset: number): TensorDefinition {
  return { name: `${name}.weight`, shape: [size], init: offset === 1 ? "zeros" : "ones" };
}

/** The tensors of all layers. */
export function eachLayer(count: number, tensors: (index: number) => TensorDefinition[]): TensorDefinition[] {
  return Array.from({ length: count }, (_, index) => tensors(index)).flat();
}
