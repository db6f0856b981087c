/** Models that are in no file: a disk would take longer to read 26 GB than all the measurements together. */
import type { Device, WeightDtype, WeightSpec } from "../../engine/devices/device.ts";
import { bytesPerElement, elementCount } from "../../engine/devices/device.ts";
import { configureModel } from "../../engine/model/families/all.ts";
import type { Initialiser } from "../../engine/model/families/family.ts";
import type { ModelFolder } from "../../engine/model/files/folder.ts";
import type { TensorLocation } from "../../engine/model/files/safetensors.ts";
import { fillNoise, sigma } from "../../engine/numbers/noise.ts";
import { invariant } from "../../schema/errors.ts";

/** A model of a config as if it were in files. Only a device of `fillingDevice` can load it. */
export function modelInMemory(config: object, dtype: WeightDtype): ModelFolder {
  // Without an end-of-sequence token, as in bench/model.ts.
  const architecture = configureModel({ ...config, eos_token_id: null });
  const locations = new Map<string, TensorLocation>();
  for (const { name, shape } of architecture.tensors) {
    const bytes = elementCount(shape) * bytesPerElement[dtype];
    locations.set(name, { name, dtype, shape, bytes, path: "", offset: 0 });
  }
  const tensors = [...locations.values()].toSorted((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  return { path: "", config, endOfSequence: [], tensors, architecture, locations, copies: new Set() };
}

/** The device, except that it makes the weights of a folder of `modelInMemory` itself. */
export function fillingDevice(device: Device, { architecture }: ModelFolder): Device {
  const inits = new Map(architecture.tensors.map(({ name, init }) => [name, init]));
  const fill = fillerOf(architecture.initStd);
  return {
    name: device.name,
    description: device.description,
    precisions: device.precisions,
    rowsApart: device.rowsApart,
    createWeight: (spec, bytes) => device.createWeight(spec, bytes),
    mapWeight(spec) {
      const init = inits.get(spec.name);
      invariant(init, `${spec.name} is a tensor of the model`);
      return device.createWeight(spec, fill(spec, init));
    },
    freeWeight: (weight) => device.freeWeight(weight),
    readWeight: (weight) => device.readWeight(weight),
    update: (weights, entries, noise) => device.update(weights, entries, noise),
    settled: () => device.settled?.() ?? Promise.resolve(),
    replay: (piece, entries, noise) => device.replay(piece, entries, noise),
    begin: (...of) => device.begin(...of),
    createCache: () => device.createCache(),
    copyCache: (cache, rows) => device.copyCache(cache, rows),
    freeCache: (cache) => device.freeCache(cache),
    dispose: () => device.dispose(),
  };
}

const blockElements = 1 << 16;

/** Makes the bytes of a weight. Normal values repeat after a block: nothing here takes longer on values that do not. */
function fillerOf(std: number): (spec: WeightSpec, init: Initialiser) => Uint8Array {
  const integers = new Int8Array(blockElements);
  fillNoise(integers, "normal", 1n, 0, 0);
  const values: Readonly<Record<Initialiser, Float32Array>> = {
    normal: Float32Array.from(integers, (n) => (n / sigma.normal) * std),
    ones: new Float32Array(blockElements).fill(1),
    zeros: new Float32Array(blockElements),
  };
  const blocks = new Map<string, Uint8Array>();
  const blockOf = (init: Initialiser, dtype: WeightDtype): Uint8Array => {
    const known = blocks.get(`${init} ${dtype}`);
    if (known) return known;
    const made = dtype === "F32" ? new Uint8Array(values[init].buffer) : upperHalves(values[init]);
    blocks.set(`${init} ${dtype}`, made);
    return made;
  };
  return ({ shape, dtype }, init) => {
    const block = blockOf(init, dtype);
    const bytes = new Uint8Array(elementCount(shape) * bytesPerElement[dtype]);
    for (let at = 0; at < bytes.length; at += block.length) bytes.set(block.subarray(0, bytes.length - at), at);
    return bytes;
  };
}

/** Truncated to bfloat16. */
function upperHalves(values: Float32Array): Uint8Array {
  const halves = Uint16Array.from(new Uint32Array(values.buffer), (bits) => bits >>> 16);
  return new Uint8Array(halves.buffer);
}
