/**
 * What a model family tells the engine: which tensors a config asks for, and how a pass runs through them. One file a
 * family, listed in families.ts.
 */
import type { Objective } from "../../../schema/objective.ts";
import type { Activation, AttentionShape, KeyValueCache, Pass, Weight, WeightLayout } from "../../devices/device.ts";

/** Packed sequences: no padding, one after the other. */
export interface PackedTokens {
  /** [tokens] */
  readonly ids: Int32Array;
  /** Tokens of each sequence. */
  readonly lengths: readonly number[];
  /** Tokens of each sequence that came before and whose keys and values `caches` hold; none when left out. */
  readonly past?: readonly number[];
  /** [layer][sequence]; causal models only. */
  readonly caches?: readonly (readonly KeyValueCache[])[];
}

/** Place of each token in its sequence: [tokens]. */
export function positionsOf({ lengths, past }: PackedTokens): Int32Array {
  return Int32Array.from(lengths.flatMap((length, i) => Array.from({ length }, (_, at) => (past?.[i] ?? 0) + at)));
}

/** Tokens of the longest sequence, with those that came before. */
export function longestOf({ lengths, past }: PackedTokens): number {
  return Math.max(0, ...lengths.map((length, i) => (past?.[i] ?? 0) + length));
}

/** What attention is given of the packed tokens. */
export function sequencesOf(tokens: PackedTokens, layer: number): Pick<AttentionShape, "lengths" | "caches"> {
  const caches = tokens.caches?.[layer];
  return { lengths: tokens.lengths, ...(caches && { caches }) };
}

/** What random weights of a tensor begin with (the `init` command). */
export type Initialiser = "normal" | "zeros" | "ones";

export interface TensorDefinition {
  /** Name in the reference implementation's state dict. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly init: Initialiser;
  /** Of the weight of a linear layer, by its layout: what `Pass.linear` is given, and adapters can be put beside. */
  readonly linear?: WeightLayout;
}

/** Weights by the names of the family's definitions. */
export type WeightLookup = (name: string) => Weight;

/** The output projection, by the names of the definitions. */
export interface Head {
  /** [vocab, hidden] */
  readonly weight: string;
  /** [vocab] */
  readonly bias?: string;
  readonly softcap?: number;
}

/** A family with a config's sizes filled in. */
export interface Architecture {
  readonly family: string;
  readonly objective: Objective;
  readonly layers: number;
  /** Heads of keys and values of each layer, and the columns of each. */
  readonly keyValueHeads: number;
  readonly headSize: number;
  /** Longest sequence, tokens. */
  readonly contextLength: number;
  readonly vocabulary: number;
  readonly endOfSequence: readonly number[];
  /** Id that fills rows up at their end and is not to be seen; null where nothing after a scored place is seen anyway. */
  readonly padding: number | null;
  /**
   * A length in tokens: keys of a sequence up to it do not serve one that is longer, so its caches begin anew (longrope
   * turns by other frequencies then). Null: they serve for ever.
   */
  readonly cacheLimit: number | null;
  readonly tensors: readonly TensorDefinition[];
  /** Names under which a definition's tensor may be stored, in order of preference. */
  storedNames(name: string): readonly string[];
  /** Tensors of a file that the model does not read (copies of tied weights, buffers); they are left out of its output. */
  ignores(storedName: string): boolean;
  /** Standard deviation of random normal weights. */
  readonly initStd: number;
  readonly head: Head;
  /** Hidden states [positions, hidden] that the head is multiplied with, at the given rows of the packed tokens. */
  forward(pass: Pass, weights: WeightLookup, tokens: PackedTokens, positions: Int32Array): Activation;
}

export interface Family {
  /** model_type of config.json. */
  readonly modelType: string;
  /** @throws MODEL_UNSUPPORTED or MODEL_INVALID naming the field */
  configure(config: unknown): Architecture;
}
