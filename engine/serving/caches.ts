/** Keys and values of one sequence, one cache a layer. */
import { invariant } from "../../schema/errors.ts";
import type { Device, KeyValueCache } from "../devices/device.ts";
import type { Architecture } from "../model/families/family.ts";

export type SequenceCaches = readonly KeyValueCache[];

export function createCaches(device: Device, { layers }: Pick<Architecture, "layers">): SequenceCaches {
  return Array.from({ length: layers }, () => device.createCache());
}

/** The first `rows` tokens of a sequence. */
export function copyCaches(device: Device, caches: SequenceCaches, rows: number): SequenceCaches {
  return caches.map((cache) => device.copyCache(cache, rows));
}

export function freeCaches(device: Device, caches: SequenceCaches): void {
  for (const cache of caches) device.freeCache(cache);
}

/** Those of several sequences, as a pass takes them: [layer][sequence]. */
export function byLayer(sequences: readonly SequenceCaches[], { layers }: Pick<Architecture, "layers">) {
  return Array.from({ length: layers }, (_, layer) =>
    sequences.map((caches) => {
      const cache = caches[layer];
      invariant(cache, "a sequence has a cache for each layer");
      return cache;
    }),
  );
}

/** Bytes that a token takes in all layers, with room to grow: a cache that is full doubles. */
export function cacheBytesPerToken({ layers, keyValueHeads, headSize }: Architecture): number {
  const rows = 2 * layers * keyValueHeads * headSize * Float32Array.BYTES_PER_ELEMENT;
  return 1.5 * rows;
}
