/**
 * The door to the addon: what it exports, with types. Everything handed in is checked on the other side (src/addon.cc,
 * src/program.cc), so that no mistake here can read or write out of bounds; it answers with an Error that says what was
 * wrong.
 */
import { createRequire } from "node:module";
import { packagePath } from "../../schema/package.ts";

/** A pass as a list of operations; operation codes and their operands are those of src/program.h. */
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
}

export interface NativeWeight {
  readonly shape: readonly number[];
  /** 0 float32, 1 bfloat16. */
  readonly dtype: number;
  readonly trainable: boolean;
  /** Tensor id of docs/STEP_LOG.md. */
  readonly tensor: number;
}

/** One element an entry. */
export type NativeEntries = [seeds: BigUint64Array, scalars: Float32Array, decays: Float32Array];

/** Where the time of passes went, in seconds of wall time; `noise` is the share of packing in linear and losses. */
export type NativeTimings = Record<"embed" | "linear" | "attention" | "rows" | "losses" | "noise" | "update", number>;

export interface NativeDevice {
  readonly instructionSet: string;
  readonly threads: number;
  readonly multipliesBf16: boolean;
  createWeight(weight: NativeWeight, bytes: Uint8Array): number;
  /** `half`: the file has float16, which is widened to the weight's float32. */
  mapWeight(weight: NativeWeight, path: string, offset: number, half: boolean): number;
  freeWeight(id: number): void;
  readWeight(id: number): Promise<Uint8Array>;
  update(ids: Int32Array, ...entries: [...NativeEntries, noise: number]): Promise<void>;
  run(pass: NativePass): Promise<Float64Array | Float32Array>;
  replay(
    bytes: Uint8Array,
    dtype: number,
    tensor: number,
    first: number,
    ...entries: [...NativeEntries, noise: number]
  ): Promise<void>;
  createCache(): number;
  freeCache(id: number): void;
  timings(): Promise<NativeTimings>;
  noise(count: number, noise: number, seed: bigint, tensor: number, first: number): Promise<Int8Array>;
  /** 10^9 floating-point operations a second of products between registers alone: what the processor does at most. */
  peak(bf16: boolean): Promise<number>;
}

interface Addon {
  /** Those that this processor has, the best first. */
  instructionSets(): string[];
  /** @throws when the processor has no such instruction set; "" is the best, 0 threads as many as it has cores */
  readonly NativeDevice: new (instructionSet: string, threads: number) => NativeDevice;
}

let addon: Addon | undefined;

/** @throws with the loader's reason when the addon was not built for this platform */
export function nativeAddon(): Addon {
  const require = createRequire(import.meta.url);
  const load = require("node-gyp-build") as (folder: string) => Addon;
  return (addon ??= load(packagePath("engine/native")));
}
