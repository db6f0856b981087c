/**
 * Caches of the TensorFlow device: a token's keys and values are written into memory that is there. New memory comes when the
 * length has doubled, and rows that are cached are copied then alone.
 */
import { describe, expect, test } from "vitest";
import { TensorFlow } from "../../engine/devices/tensorflow/binding.ts";
import { GrowingRows } from "../../engine/devices/tensorflow/caches.ts";
import { createTensorflowDevice } from "../../engine/devices/tensorflow/tensorflow.ts";
import { Draw } from "./devices.inputs.ts";
import type { Binding } from "./tensorflow.counting.ts";
import { got, loaded, over } from "./tensorflow.counting.ts";

const tokens = 64;
const columns = 8;
/** Of 1, 2, 4, ..., 64 rows. */
const doublings = 7;

interface Ran {
  readonly name: string;
  readonly inputs: readonly (readonly number[])[];
  readonly made: readonly number[];
}

/** TensorFlow, with the shapes of everything that it runs. */
function recording(binding: Binding): { readonly tapped: Binding; readonly ran: Ran[] } {
  const ran: Ran[] = [];
  const shapes = new Map<number, readonly number[]>();
  const tapped = over(binding, {
    createTensor(shape, type, values) {
      const id = binding.createTensor(shape, type, values);
      shapes.set(id, shape);
      return id;
    },
    executeOp(name, attributes, inputs, outputs) {
      const made = binding.executeOp(name, attributes, inputs, outputs);
      for (const { id, shape } of made) shapes.set(id, shape);
      ran.push({ name, inputs: inputs.map((id) => shapes.get(id) ?? []), made: made[0]?.shape ?? [] });
      return made;
    },
  });
  return { tapped, ran };
}

const named = (ran: readonly Ran[], name: string) => ran.filter((each) => each.name === name);

/** Rows that were written in place. */
const written = (ran: readonly Ran[]) =>
  named(ran, "InplaceUpdate").reduce((sum, { inputs }) => sum + (inputs[2]?.[0] ?? NaN), 0);

describe.runIf(loaded)("a cache", () => {
  test("takes a row at a time: memory at doublings alone, and no row copied in between", () => {
    const { tapped, ran } = recording(got(loaded));
    const tf = new TensorFlow(tapped);
    const rows = new GrowingRows(tf);
    const given = new Float32Array(new Draw(3).bytes(tokens * columns, "F32", 1).buffer);
    for (let token = 0; token < tokens; token++) {
      const { handles } = tf.hold(() => [
        tf.constant(given.subarray(token * columns, (token + 1) * columns), [1, columns]),
      ]);
      rows.append(got(handles[0] ?? null));
      tf.free(got(handles[0] ?? null));
    }
    expect(named(ran, "Empty").map(({ made }) => made[0])).toStrictEqual([1, 2, 4, 8, 16, 32, 64]);
    expect(named(ran, "ConcatV2")).toStrictEqual([]);
    // Each once as it comes, and what was there at each doubling.
    expect(written(ran)).toBe(tokens + (tokens - 1));
    const all = got(rows.rows());
    expect(tf.floats(all)).toStrictEqual(given);
    tf.free(all);
    rows.free();
  });

  test.each([1, 2])("grows so while sequences are generated, %i at once", async (sequences) => {
    const { tapped, ran } = recording(got(loaded));
    const library = { binding: tapped, description: "records", onGpu: false };
    const device = createTensorflowDevice(null, null, { library });
    const spec = { name: "table", shape: [2 * columns, columns], dtype: "F32", trainable: false } as const;
    const table = device.createWeight(spec, new Draw(4).bytes(2 * columns * columns, "F32", 1));
    const caches = Array.from({ length: sequences }, () => device.createCache());
    const heads = { heads: 2, keyValueHeads: 2, causal: true, scale: 0.5, caches } as const;
    ran.length = 0;
    for (let token = 0; token < tokens; token++) {
      const pass = device.begin(null);
      const x = pass.embed(
        table,
        Int32Array.from(caches, (_, i) => (token + i) % (2 * columns)),
      );
      await pass.logits(pass.attention(x, x, x, { ...heads, lengths: caches.map(() => 1) }), table);
      pass.end();
    }
    // Keys and values.
    expect(named(ran, "Empty")).toHaveLength(2 * sequences * doublings);
    expect(written(ran)).toBe(2 * sequences * (2 * tokens - 1));
    // Attention reads the rows where they are: nothing else has as many of them, or moves them.
    const long = ran.filter(({ made }) => (made[0] ?? 0) > 8 && made[1] === columns);
    expect(new Set(long.map(({ name }) => name))).toStrictEqual(new Set(["Empty", "InplaceUpdate", "Slice"]));
    device.dispose();
  });
});
