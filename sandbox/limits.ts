/** What a call may use, by how many bytes it is given. */
import type { Limits } from "./messages.ts";

const mib = 2 ** 20;
/** Bytes up to which a call is small. Nearly everything that people write by hand is. */
const smallBytes = 16 * mib;
const smallHeapMb = 512;
const largeHeapMb = 2_048;
const perMibMs = { stalled: 1_000, total: 15_000 };

/** Small inputs are ended within seconds and below 1 GB, whatever they hold; large ones get time by their size. */
export function limitsFor(bytes: number): Limits {
  const heapMb = bytes <= smallBytes ? smallHeapMb : largeHeapMb;
  return {
    heapMb,
    memoryMb: heapMb + 384,
    stalledMs: 6_000 + Math.ceil((bytes / mib) * perMibMs.stalled),
    totalMs: 60_000 + Math.ceil((bytes / mib) * perMibMs.total),
  };
}

/** Large calls leave a place to small ones. */
export function isLarge({ heapMb }: Limits): boolean {
  return heapMb > smallHeapMb;
}
