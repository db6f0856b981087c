/** TensorFlow's binding, of which a test counts or replaces something. */
import { loadBinding } from "../../engine/devices/tensorflow/binding.ts";
import { devicesDir, promised } from "../support/open-devices.ts";

export type Binding = ReturnType<typeof loadBinding>["binding"];

/** null where there is none, and nobody promised one. */
export const loaded = (() => {
  try {
    return loadBinding(devicesDir).binding;
  } catch (error) {
    if (promised.includes("tfjs-tensorflow")) throw error;
    return null;
  }
})();

/** Counts operations, and the bytes of the tensors that are alive: an operation that only looks at its input shares its memory. */
export class Memory {
  readonly binding: Binding;
  readonly runs = new Map<string, number>();
  bytes = 0;
  peak = 0;
  readonly #buffers = new Map<number, { readonly bytes: number; uses: number }>();

  constructor(binding: Binding) {
    this.binding = over(binding, {
      createTensor: (shape, type, values) => this.#made(binding.createTensor(shape, type, values), values.byteLength),
      deleteTensor: (id) => {
        this.#freed(id);
        binding.deleteTensor(id);
      },
      executeOp: (name, attributes, inputs, outputs) => {
        this.runs.set(name, (this.runs.get(name) ?? 0) + 1);
        const made = binding.executeOp(name, attributes, inputs, outputs);
        for (const output of made) {
          const { dtype } = output as unknown as { dtype: number };
          const count = output.shape.reduce((product, size) => product * size, 1);
          this.#made(output.id, count * got(widths[dtype] ?? null), looks.has(name) ? inputs[0] : undefined);
        }
        return made;
      },
    });
  }

  #made(id: number, bytes: number, of?: number): number {
    const shared = of === undefined ? undefined : this.#buffers.get(of);
    if (shared) shared.uses += 1;
    else this.bytes += bytes;
    this.#buffers.set(id, shared ?? { bytes, uses: 1 });
    this.peak = Math.max(this.peak, this.bytes);
    return id;
  }

  #freed(id: number): void {
    const buffer = got(this.#buffers.get(id) ?? null);
    buffer.uses -= 1;
    if (buffer.uses === 0) this.bytes -= buffer.bytes;
    this.#buffers.delete(id);
  }
}

const looks = new Set(["Bitcast", "Reshape"]);
/** Bytes of an element, by TensorFlow's number of its type. */
const widths: Readonly<Record<number, number>> = { 1: 4, 3: 4, 4: 1, 10: 1, 12: 1, 14: 2, 17: 2, 22: 4, 23: 8 };

export function over(binding: Binding, own: Partial<Binding>): Binding {
  // The binding's own properties are fixed, so that a proxy of itself could not replace them.
  return new Proxy(
    { ...binding, ...own },
    {
      get(_, key) {
        if (key in own) return Reflect.get(own, key) as unknown;
        const found: unknown = Reflect.get(binding, key);
        return typeof found === "function" ? (found.bind(binding) as unknown) : found;
      },
    },
  );
}

export function got<T>(value: T | null): T {
  if (value === null) throw new Error("it is there");
  return value;
}
