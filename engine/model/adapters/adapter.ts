/** The interface of an adapter; lora.ts and prefix.ts implement it, all.ts lists the kinds. */
import { SteplogError } from "../../../schema/errors.ts";
import type { StepLogHeader, TrainableTensor } from "../../../schema/step-log.ts";
import type { LowRankPart, Pass } from "../../devices/device.ts";
import type { WeightLookup } from "../families/family.ts";

/** The part of a log's header that describes how an adapter starts. */
export type AdapterHeader = Pick<StepLogHeader, "lora" | "prefix">;

/** The term of one linear layer. */
export type LowRankTerm = Pick<LowRankPart, "a" | "b" | "scale">;

/** Small tensors that are trained while the model's own weights stay frozen, and how they change its passes. */
export interface Adapter {
  readonly kind: "lora" | "prefix";
  /** Named as peft stores them, in order of name. */
  readonly tensors: readonly TrainableTensor[];
  /** Positions that it takes from the model's context, before every sequence. */
  readonly prefixLength: number;
  /** The stored little-endian bytes of one of its tensors at the start of training. */
  read(tensor: TrainableTensor): Promise<Uint8Array>;
  /**
   * What it adds to linear layers, by the stored name of a layer's weight; null if that is not all that it does. Then sequences
   * of different adapters can share a pass (`Pass.addLowRank`).
   */
  terms(own: WeightLookup, base: WeightLookup): ReadonlyMap<string, LowRankTerm> | null;
  /** Turns a pass of the base into one with the adapter. `own` finds its tensors by name, `base` the model's by definition. */
  attach(own: WeightLookup, base: WeightLookup): (pass: Pass) => Pass;
}

/** An adapter whose start follows from the seed in the header. */
export interface SeededAdapter extends Adapter {
  readonly header: AdapterHeader;
}

/** The pass with some operations replaced. */
export function changedPass(pass: Pass, changed: Partial<Pass>): Pass {
  return new Proxy(pass, {
    get(target, name) {
      const member: unknown = Reflect.get(changed, name) ?? Reflect.get(target, name, target);
      return typeof member === "function" ? (member.bind(target) as unknown) : member;
    },
  });
}

/** @throws LOG_INVALID unless the log trains exactly the tensors that its header's adapter has on this base */
export function refuseOtherTensors(trainable: readonly TrainableTensor[], tensors: readonly TrainableTensor[]): void {
  const known = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  for (const { name, shape, dtype } of trainable) {
    const tensor = known.get(name);
    if (tensor?.dtype === dtype && tensor.shape.join() === shape.join()) known.delete(name);
    else throw foreign(name, `the base has no layer for the adapter's ${name} of ${dtype} [${shape.join(",")}]`);
  }
  for (const name of known.keys()) throw foreign(name, `the adapter's tensor ${name} is missing`);
}

function foreign(field: string, message: string): SteplogError {
  return new SteplogError("LOG_INVALID", `The log does not fit its base: ${message}.`, [{ field, message }]);
}
