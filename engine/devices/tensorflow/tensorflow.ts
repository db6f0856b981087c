/**
 * TensorFlow.js on libtensorflow (tfjs-node-gpu or tfjs-node): weights, noise, update and forward pass are TensorFlow
 * operations, on a GPU if there is one.
 */
import { checkPrecision } from "../checks.ts";
import type { Device, KeyValueCache, Precision, Weight } from "../device.ts";
import { Owned, replayPiece } from "../host-memory.ts";
import type { Traffic } from "./binding.ts";
import { TensorFlow, loadBinding } from "./binding.ts";
import type { TensorflowCache } from "./caches.ts";
import { createTensorflowCache, freeTensorflowCache } from "./caches.ts";
import type { InstallableName } from "./packages.ts";
import { TensorflowPass } from "./pass.ts";
import type { TensorflowWeight } from "./weights.ts";
import {
  freeTensorflowWeight,
  readTensorflowWeight,
  storeTensorflowWeight,
  updateTensorflowWeight,
} from "./weights.ts";

const name = "tfjs";
const precisions: readonly Precision[] = ["float32"];

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
}

/** @throws if no tfjs-node package can be loaded */
export function createTensorflowDevice(
  devicesDir: string | null = null,
  only: InstallableName | null = null,
  { pieceElements }: TensorflowOptions = {},
): TensorflowDevice {
  const { binding, description, onGpu } = loadBinding(devicesDir, only);
  const tf = new TensorFlow(binding);
  const weights = new Owned<Weight, TensorflowWeight>();
  const caches = new Owned<KeyValueCache, TensorflowCache>();
  const state = { tf, weights, caches };
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
    precisions,
    createWeight: (spec, bytes) => weights.add(storeTensorflowWeight(tf, spec, bytes, pieceElements)),
    freeWeight,
    readWeight: (weight) => Promise.resolve(readTensorflowWeight(tf, weights.find(weight))),
    update(handles, entries, noise) {
      for (const weight of handles) updateTensorflowWeight(tf, weights.find(weight), entries, noise);
    },
    // On the CPU: a piece is used once, and copying it to a GPU and back would cost more.
    replay: replayPiece,
    begin(perturbation, precision = "float32") {
      checkPrecision({ name, precisions }, precision);
      return new TensorflowPass(state, perturbation);
    },
    createCache: () => caches.add(createTensorflowCache(tf, name)),
    freeCache,
    dispose() {
      weights.all().forEach(freeWeight);
      caches.all().forEach(freeCache);
      tf.trim(0);
    },
    tensors: () => tf.tensors(),
    operations: () => tf.operations(),
    traffic: () => tf.traffic(),
  };
}
