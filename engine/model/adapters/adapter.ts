/** What is trained beside a frozen model: small tensors of its own, and what a pass does with them. */
import { SteplogError } from "../../../schema/errors.ts";
import type { StepLogHeader, TrainableTensor } from "../../../schema/step-log.ts";
import type { Pass } from "../../devices/device.ts";
import type { WeightLookup } from "../families/family.ts";

/** What a log's header says of how an adapter began. */
export type AdapterHeader = Pick<StepLogHeader, "lora" | "prefix">;

/** Small tensors that are trained beside a frozen model, and what they do to its passes. */
export interface Adapter {
  readonly kind: "lora" | "prefix";
  /** By the names that peft stores them by, and in their order. */
  readonly tensors: readonly TrainableTensor[];
  /** Places before every sequence that it takes from the model's context. */
  readonly places: number;
  /** The stored little-endian bytes of a tensor of it, as training begins. */
  read(tensor: TrainableTensor): Promise<Uint8Array>;
  /** How its passes differ from the base's, given its own tensors on a device, by name, and the base's, by definition. */
  place(own: WeightLookup, base: WeightLookup): (pass: Pass) => Pass;
}

/** An adapter that is or was trained from scratch. */
export interface SeededAdapter extends Adapter {
  readonly header: AdapterHeader;
}

/** The pass, but for some of its operations. */
export function changedPass(pass: Pass, changed: Partial<Pass>): Pass {
  return new Proxy(pass, {
    get(target, name) {
      const member: unknown = Reflect.get(changed, name) ?? Reflect.get(target, name, target);
      return typeof member === "function" ? (member.bind(target) as unknown) : member;
    },
  });
}

/** @throws LOG_INVALID when a log trains other tensors than the adapter that its header tells of has on its base */
export function refuseOtherTensors(trainable: readonly TrainableTensor[], tensors: readonly TrainableTensor[]): void {
  const known = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  for (const { name, shape, dtype } of trainable) {
    const tensor = known.get(name);
    if (tensor?.dtype === dtype && tensor.shape.join() === shape.join()) known.delete(name);
    else throw foreign(name, `the base has no place for an adapter's ${name} of ${dtype} [${shape.join(",")}]`);
  }
  for (const name of known.keys()) throw foreign(name, `${name} is missing beside the rest of its adapter`);
}

function foreign(field: string, message: string): SteplogError {
  return new SteplogError("LOG_INVALID", `The log does not fit its base: ${message}.`, [{ field, message }]);
}
