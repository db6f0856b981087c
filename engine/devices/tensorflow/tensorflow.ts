/**
 * TensorFlow.js on libtensorflow (tfjs-node-gpu or tfjs-node): weights, noise, update and forward pass are TensorFlow
 * operations, on a GPU if there is one.
 */
import { checkOptions, checkPrecision } from "../checks.ts";
import type { Device, KeyValueCache, Precision, Weight } from "../device.ts";
import { Owned } from "../host-memory.ts";
import { nativeAddon } from "../../native/addon.ts";
import { createNativeDevice } from "../native.ts";
import type { Library, Traffic } from "./binding.ts";
import { TensorFlow, loadBinding } from "./binding.ts";
import type { TensorflowCache } from "./caches.ts";
import { copyTensorflowCache, createTensorflowCache, freeTensorflowCache } from "./caches.ts";
import { TensorflowNoise } from "./noise.ts";
import { gpuMemoryBytes } from "./nvidia.ts";
import type { PassSizes } from "./pass.ts";
import { TensorflowPass, defaultSizes } from "./pass.ts";
import type { InstallableName } from "./packages.ts";
import { replayOutsideTensorflow, replayTensorflow, updateTensorflowWeight } from "./update.ts";
import type { TensorflowWeight } from "./weights.ts";
import {
  freeTensorflowWeight,
  mapTensorflowWeight,
  pieceElements as defaultPieceElements,
  readTensorflowWeight,
  storeTensorflowWeight,
} from "./weights.ts";

const name = "tfjs";

export interface TensorflowDevice extends Device {
  readonly onGpu: boolean;
  /** Tensors that TensorFlow has allocated. */
  tensors(): number;
  /** Operations run so far. */
  operations(): number;
  /** Bytes copied to and from the device so far. */
  traffic(): Traffic;
}

export interface TensorflowOptions {
  /** Elements of a piece of a weight, at most; weights.ts has the default. */
  readonly pieceElements?: number;
  readonly sizes?: PassSizes;
  /** Left out: also bfloat16 on a GPU, and on a processor that multiplies in it. */
  readonly precisions?: readonly Precision[] | undefined;
  /** Replays with TensorFlow's operations even where the host is faster. */
  readonly replayHere?: boolean;
  /** Instead of a tfjs-node package: a TensorFlow that is open already, or one that only counts (bench/gpu). */
  readonly library?: Library;
}

/** @throws if no tfjs-node package can be loaded */
export function createTensorflowDevice(
  devicesDir: string | null = null,
  only: InstallableName | null = null,
  { pieceElements = defaultPieceElements, sizes, replayHere = false, library, ...options }: TensorflowOptions = {},
): TensorflowDevice {
  const { binding, description, onGpu } = library ?? loadBinding(devicesDir, only);
  const tf = new TensorFlow(binding);
  const weights = new Owned<Weight, TensorflowWeight>();
  const caches = new Owned<KeyValueCache, TensorflowCache>();
  const state = { tf, weights, caches, sizes: sizes ?? defaultSizes(tf.usesGpu) };
  const noise = new TensorflowNoise(tf);
  const maker = { tf, noise, pieceElements };
  const native = tf.usesGpu ? null : nativeDevice();
  const host = replayHere ? null : native;
  const precisions = options.precisions ?? (tf.usesGpu ? (["float32", "bfloat16"] as const) : precisionsOf(native));
  if (!tf.usesGpu) giveBackFilePages();
  const freeWeight = (handle: Weight) => {
    freeTensorflowWeight(tf, weights.find(handle));
    weights.free(handle);
  };
  const freeCache = (handle: KeyValueCache) => {
    freeTensorflowCache(caches.find(handle));
    caches.free(handle);
  };
  return {
    name,
    description,
    onGpu,
    get memoryBytes() {
      return onGpu ? gpuMemoryBytes() : undefined;
    },
    precisions,
    rowsApart: false,
    createWeight: (spec, bytes) => weights.add(storeTensorflowWeight(maker, spec, bytes)),
    mapWeight: (spec, stored) => weights.add(mapTensorflowWeight(maker, spec, stored)),
    freeWeight,
    readWeight: (weight) => Promise.resolve(readTensorflowWeight(tf, weights.find(weight))),
    update(handles, entries, kind) {
      for (const weight of handles) updateTensorflowWeight(tf, weights.find(weight), entries, kind);
    },
    replay: (piece, entries, kind) =>
      host ? host.replay(piece, entries, kind) : replayTensorflow(tf, noise, piece, entries, kind),
    ...(host && {
      async replayOutside(handles, replay) {
        for (const weight of handles) await replayOutsideTensorflow(tf, weights.find(weight), replay);
      },
    }),
    begin(perturbation, precision = "float32", options = {}) {
      checkPrecision({ name, precisions }, precision);
      checkOptions(options, perturbation);
      return new TensorflowPass(state, perturbation, precision);
    },
    createCache: () => caches.add(createTensorflowCache(tf, name)),
    copyCache: (cache, rows) => caches.add(copyTensorflowCache(tf, caches.find(cache), rows)),
    freeCache,
    dispose() {
      weights.all().forEach(freeWeight);
      caches.all().forEach(freeCache);
      noise.dispose();
      native?.dispose();
      tf.trim(0);
    },
    tensors: () => tf.tensors(),
    operations: () => tf.operations(),
    traffic: () => tf.traffic(),
  };
}

/** TensorFlow multiplies in bfloat16 on any processor, but only where that has instructions for it faster than in float32. */
const precisionsOf = (native: Device | null): readonly Precision[] => native?.precisions ?? ["float32"];

/** Without a GPU, the native device replays ten times as fast as TensorFlow's operations (decision 33); null if it was not built. */
function nativeDevice(): Device | null {
  try {
    return createNativeDevice();
  } catch {
    return null;
  }
}

/**
 * To load TensorFlow, the linker and the library read most of its 250 MB of code and tables, of which a step needs a small part
 * (decision 37). Without the native addon they stay until the system needs the memory.
 */
function giveBackFilePages(): void {
  try {
    nativeAddon().giveBackFilePages();
  } catch {
    // Only memory is lost.
  }
}
