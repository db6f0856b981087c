/** How much memory the adapter of a run takes: its tensors are float32 and beside the weights, whatever the base's dtype. */
import type { Hyperparameters } from "./hyperparameters.ts";
import { type PartNames, fitsPattern } from "./name-patterns.ts";

/** Shapes of a base model from which those of its adapters follow. */
export interface AdapterShapes {
  /** Of each of the layers in PartNames, in their order. */
  readonly layers: readonly (readonly [inputs: number, outputs: number])[];
  /** Elements of one position of a prefix: keys and values of all layers. */
  readonly prefix: number;
}

/**
 * Layers that are adapted by default: queries and values, as the LoRA paper advises, under the names that the families use.
 * GPT-2 and Phi-3 keep them in one matrix with the keys.
 */
const defaultTargets = ["q_proj", "v_proj", "query", "value", "c_attn", "qkv_proj"];

/** Whether LoRA adapts a layer; without targets, the default ones. */
export function isTargeted(layer: string, targets: readonly string[]): boolean {
  return (targets.length === 0 ? defaultTargets : targets).some((target) => fitsPattern(target, layer));
}

type Adapting = Pick<Hyperparameters, "method" | "loraRank" | "loraTargets" | "prefixLength">;

/** Bytes of the tensors of a run's adapter; 0 for a method without one. */
export function adapterBytes(settings: Adapting, { layers }: PartNames, shapes: AdapterShapes): number {
  if (settings.method === "PREFIX") return 4 * settings.prefixLength * shapes.prefix;
  if (settings.method !== "LORA") return 0;
  const columns = layers.map((layer, k) => {
    const [inputs, outputs] = shapes.layers[k] ?? [0, 0];
    return isTargeted(layer, settings.loraTargets) ? inputs + outputs : 0;
  });
  return 4 * settings.loraRank * columns.reduce((sum, one) => sum + one, 0);
}
