/** Which device is chosen, that devices free their memory, and that wasm runs in a worker thread. */
import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { chooseDevice, deviceNames, listDevices } from "../../engine/devices/choose.ts";
import { createTensorflowDevice } from "../../engine/devices/tensorflow/tensorflow.ts";
import { createWasmDevice } from "../../engine/devices/wasm/wasm.ts";
import { devicesDir, promised } from "../support/open-devices.ts";
import type { Operation } from "./devices.inputs.ts";
import { computationOf, load, perturbations, run } from "./devices.inputs.ts";

const listed = await listDevices(devicesDir);
const missing = listed.filter((device) => "missing" in device);

describe("chooseDevice", () => {
  test("plain works on every machine", async () => {
    const { device, why } = await chooseDevice("plain");
    expect(device.name).toBe("plain");
    expect(why).toBe("requested by name");
  });

  test("auto uses the first that opens, and reports why", async () => {
    const messages: string[] = [];
    const { device, why } = await chooseDevice("auto", { devicesDir, log: (message) => messages.push(message) });
    const first = listed.find((candidate) => "open" in candidate);
    expect(why).toContain(`auto uses the first that opens: ${first?.name}`);
    expect(first?.name).toMatch(new RegExp(`^${device.name}`, "u"));
    expect(messages).toEqual([expect.stringContaining(device.description)]);
    device.dispose();
  });

  test("an unknown name is refused with the names that are known", async () => {
    await expect(chooseDevice("cuda")).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: expect.stringContaining(deviceNames.join(", ")) as string,
    });
  });

  test.runIf(missing.length > 0)(
    "a missing device that is requested by name is an error, not another device",
    async () => {
      for (const { name } of missing) {
        await expect(chooseDevice(name, { devicesDir })).rejects.toMatchObject({
          code: "DEVICE_UNAVAILABLE",
          message: expect.stringMatching(/Tried: .+docs\/devices\.md/u) as string,
        });
      }
    },
  );
});

const everyOperation: Operation = {
  weights: () => ({ matrix: [8, 8], bias: [8] }),
  apply({ pass, x, weights, shape }) {
    const y = pass.add(x, pass.linear(x, weights("matrix"), weights("bias")));
    const z = pass.rmsNorm(pass.linear(y, weights("matrix"), null, "in-out"), weights("bias"), 1e-5, 1);
    const positions = Int32Array.from({ length: x.rows }, (_, row) => row);
    const rotary = { headSize: 4, positions, frequencies: Float64Array.of(1), pairing: "half", scale: 1 } as const;
    const heads = { heads: 2, keyValueHeads: 2, lengths: shape.lengths, causal: true, scale: 0.5, softcap: 2 };
    const attended = pass.attention(pass.rotate(z, rotary), y, pass.layerNorm(y, null, weights("bias"), 1e-5), heads);
    const left = pass.slice(pass.scale(attended, 2), 0, 8);
    return pass.gather(pass.multiply(pass.activate(left, "gelu"), y), Int32Array.of(0, 1, 2, 3, 4, 5, 6, 7));
  },
};

const counting = [
  { name: "tfjs-wasm", open: createWasmDevice },
  { name: "tfjs-tensorflow", open: () => Promise.resolve(createTensorflowDevice(devicesDir)) },
].filter(({ name }) => promised.includes(name) || !missing.some((device) => device.name === name));

describe.each(counting)("$name", ({ open }) => {
  test.each([true, false])("holds as many tensors after each step as before (trainable: %s)", async (trainable) => {
    const device = await open();
    const before = device.tensors();
    const shape = { seed: 4, lengths: [3, 5], columns: 8, vocab: 11, dtype: "F32", trainable } as const;
    const computation = computationOf(everyOperation, shape);
    const weights = load(device, computation);
    const counts: number[] = [];
    for (let step = 0; step < 4; step++) {
      for (const perturbation of perturbations(step)) {
        await run(device, computation, weights, perturbation);
        if (trainable) device.update([...weights.values()], [{ seed: 1n, scalar: 0.5, decay: 0.75 }], "normal");
        counts.push(device.tensors());
      }
    }
    expect(new Set(counts).size).toBe(1);
    for (const weight of weights.values()) device.freeWeight(weight);
    expect(device.tensors()).toBe(before);
  });

  test("frees the memory of a cache", async () => {
    const device = await open();
    const before = device.tensors();
    const spec = { name: "table", shape: [2, 4], dtype: "F32", trainable: false } as const;
    const table = device.createWeight(spec, new Uint8Array(32));
    const cache = device.createCache();
    for (const length of [2, 1, 1]) {
      const pass = device.begin(null);
      const x = pass.embed(table, new Int32Array(length));
      const heads = { heads: 2, keyValueHeads: 2, lengths: [length], causal: true, scale: 0.5 };
      await pass.logits(pass.attention(x, x, x, { ...heads, caches: [cache] }), table);
      pass.end();
    }
    expect(device.tensors()).toBeGreaterThanOrEqual(before);
    device.freeCache(cache);
    device.freeWeight(table);
    expect(device.tensors()).toBe(before);
  });
});

describe("tfjs-wasm", () => {
  test("runs in a worker thread", async () => {
    const choose = new URL("../../engine/devices/choose.ts", import.meta.url).href;
    const source = `
      const { parentPort } = require("node:worker_threads");
      import("tsx/esm/api")
        .then(({ tsImport }) => tsImport("${choose}", "${import.meta.url}"))
        .then(({ chooseDevice }) => chooseDevice("tfjs-wasm"))
        .then(({ device }) => parentPort.postMessage(device.description));`;
    const worker = new Worker(source, { eval: true });
    const description = await new Promise((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    expect(description).toContain("wasm");
    await worker.terminate();
  });
});
