/**
 * What a model family tells the engine: which tensors a config asks for, and how a pass runs through them. One file a
 * family, listed in families.ts.
 */
import type { Activation, Pass, Weight } from "../devices/device.ts";

/** Packed sequences: no padding, one after the other. */
export interface PackedTokens {
  /** [tokens] */
  readonly ids: Int32Array;
  /** Tokens of each sequence. */
  readonly lengths: readonly number[];
}

/** What random weights of a tensor begin with (the `init` command). */
export type Initialiser = "normal" | "zeros" | "ones";

export interface TensorDefinition {
  /** Name in the reference implementation's state dict. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly init: Initialiser;
}

/** Weights by the names of the family's definitions. */
export type WeightLookup = (name: string) => Weight;

/** A family with a config's sizes filled in. */
export interface Architecture {
  readonly family: string;
  /** Longest sequence, tokens. */
  readonly contextLength: number;
  readonly vocabulary: number;
  readonly endOfSequence: readonly number[];
  readonly tensors: readonly TensorDefinition[];
  /** Names under which a definition's tensor may be stored, in order of preference. */
  storedNames(name: string): readonly string[];
  /** Tensors of a file that the model does not read (copies of tied weights, buffers); they are left out of its output. */
  ignores(storedName: string): boolean;
  /** Standard deviation of random normal weights. */
  readonly initStd: number;
  /** Name of the output projection [vocab, hidden]. */
  readonly head: string;
  /** Hidden states [positions, hidden] that the head is multiplied with, at the given rows of the packed tokens. */
  forward(pass: Pass, weights: WeightLookup, tokens: PackedTokens, positions: Int32Array): Activation;
}

export interface Family {
  /** model_type of config.json. */
  readonly modelType: string;
  /** @throws MODEL_UNSUPPORTED or MODEL_INVALID naming the field */
  configure(config: unknown): Architecture;
}
