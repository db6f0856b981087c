/**
 * The exports of the addon, with types. The addon checks all arguments (src/addon.cc, src/program.cc), so that no mistake here
 * can make it read or write out of bounds; it throws an Error that explains what was wrong.
 */
import { createRequire } from "node:module";
import { packagePath } from "../../schema/package.ts";

/** A pass as a list of operations. src/program.h defines the codes and their operands. */
export interface NativePass {
  readonly code: Int32Array;
  readonly numbers: Float64Array;
  readonly lists: readonly Int32Array[];
  readonly tables: readonly Float64Array[];
  readonly perturbation: {
    readonly seed: bigint;
    readonly size: number;
    readonly noise: number;
    readonly sides: number;
  } | null;
  readonly bf16: boolean;
  /** 0 leaves the kernels to the number of rows, 1 is panels, 2 rows. */
  readonly products: number;
  /** Gets the logits [sides * rows * vocab], instead of new memory; null for losses. */
  readonly into: Float32Array | null;
}

export interface NativeWeight {
  readonly shape: readonly number[];
  /** 0 is float32, 1 bfloat16. */
  readonly dtype: number;
  readonly trainable: boolean;
  /** Tensor id (docs/STEP_LOG.md, "Noise"). */
  readonly tensor: number;
}

/** One element per log entry. */
export type NativeEntries = [seeds: BigUint64Array, scalars: Float32Array, decays: Float32Array];

/** Wall time of passes by part, in seconds. `noise` is the time spent packing weights within linear and losses. */
export type NativeTimings = Record<"embed" | "linear" | "attention" | "rows" | "losses" | "noise" | "update", number>;

export interface NativeDevice {
  readonly instructionSet: string;
  readonly threads: number;
  readonly multipliesBf16: boolean;
  createWeight(weight: NativeWeight, bytes: Uint8Array): number;
  /** `half`: the file has float16, which is widened to float32. */
  mapWeight(weight: NativeWeight, path: string, offset: number, half: boolean): number;
  freeWeight(id: number): void;
  readWeight(id: number): Promise<Uint8Array>;
  /** Replays onto as many elements as `bytes` has, from the first on, and writes what they are then to `bytes`. */
  replayWeight(
    id: number,
    first: number,
    bytes: Uint8Array,
    ...entries: [...NativeEntries, noise: number]
  ): Promise<void>;
  update(ids: Int32Array, ...entries: [...NativeEntries, noise: number]): Promise<void>;
  /** Losses or logits; nothing if the logits went into memory that was given. */
  run(pass: NativePass): Promise<Float64Array | Float32Array | undefined>;
  replay(
    bytes: Uint8Array,
    dtype: number,
    tensor: number,
    first: number,
    ...entries: [...NativeEntries, noise: number]
  ): Promise<void>;
  createCache(): number;
  /** A new cache with the first `rows` rows that another will have after the calls so far. */
  copyCache(id: number, rows: number): number;
  freeCache(id: number): void;
  timings(): Promise<NativeTimings>;
  noise(count: number, noise: number, seed: bigint, tensor: number, first: number): Promise<Int8Array>;
  /** The processor's peak in 10^9 floating-point operations per second, measured on registers alone. */
  peak(bf16: boolean): Promise<number>;
  /** 10^9 bytes a second that all threads read and write while they copy memory, at best. */
  copyRate(): Promise<number>;
}

interface Addon {
  /** The instruction sets that this processor has, best first. */
  instructionSets(): string[];
  /** Gives back the pages of programs and libraries that were only read (src/file-pages.h): bytes. */
  giveBackFilePages(): number;
  /** "" is the best instruction set; 0 is one thread per core. @throws if the processor lacks the instruction set */
  readonly NativeDevice: new (instructionSet: string, threads: number) => NativeDevice;
}

let addon: Addon | undefined;

/** @throws the loader's error if the addon was not built for this platform */
export function nativeAddon(): Addon {
  const require = createRequire(import.meta.url);
  const load = require("node-gyp-build") as (folder: string) => Addon;
  return (addon ??= load(packagePath("engine/native")));
}
