/**
 * What a model family tells the engine: the tensors that a config asks for, and the forward pass. One file per family, listed
 * in all.ts.
 */
import type { ModelKind } from "../../../schema/model-kind.ts";
import type { Activation, AttentionShape, KeyValueCache, Pass, Weight, WeightLayout } from "../../devices/device.ts";

/** Sequences packed one after the other, without padding. */
export interface PackedTokens {
  /** [tokens] */
  readonly ids: Int32Array;
  /** Tokens of each sequence. */
  readonly lengths: readonly number[];
  /** Earlier tokens of each sequence, whose keys and values are in `caches`; none if left out. */
  readonly past?: readonly number[];
  /** [layer][sequence]; causal models only. */
  readonly caches?: readonly (readonly KeyValueCache[])[];
}

/** Position of each token in its sequence: [tokens]. */
export function positionsOf({ lengths, past }: PackedTokens): Int32Array {
  return Int32Array.from(lengths.flatMap((length, i) => Array.from({ length }, (_, at) => (past?.[i] ?? 0) + at)));
}

/** Tokens of the longest sequence, including earlier ones. */
export function longestOf({ lengths, past }: PackedTokens): number {
  return Math.max(0, ...lengths.map((length, i) => (past?.[i] ?? 0) + length));
}

/** The fields of an attention shape that describe the packed sequences. */
export function sequencesOf(tokens: PackedTokens, layer: number): Pick<AttentionShape, "lengths" | "caches"> {
  const caches = tokens.caches?.[layer];
  return { lengths: tokens.lengths, ...(caches && { caches }) };
}

/** How random weights of a tensor are initialised (the `init` command). */
export type Initialiser = "normal" | "zeros" | "ones";

export interface TensorDefinition {
  /** Name in the reference implementation's state dict. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly init: Initialiser;
  /** Layout of the weight of a linear layer, which may have an adapter; absent for other tensors. */
  readonly linear?: WeightLayout;
}

/** Finds a weight by the name of its definition. */
export type WeightLookup = (name: string) => Weight;

/** The output projection, by names of definitions. */
export interface Head {
  /** [vocab, hidden] */
  readonly weight: string;
  /** [vocab] */
  readonly bias?: string;
  readonly softcap?: number;
}

/** A weight of the head that is another weight of the model, unless the files hold a different one for it. Names of definitions. */
export interface Tie {
  readonly head: string;
  readonly shared: string;
}

/** A family with the sizes of a config. */
export interface Architecture {
  readonly family: string;
  readonly kind: ModelKind;
  readonly layers: number;
  /** Key and value heads of each layer; `headSize` is the columns of each. */
  readonly keyValueHeads: number;
  readonly headSize: number;
  /** Longest sequence, tokens. */
  readonly contextLength: number;
  readonly vocabulary: number;
  /** As the config has them; a folder's generation config may have others (ModelFolder). */
  readonly endOfSequence: readonly number[];
  /** Token id that pads the end of rows and is never attended to; null for causal models, which see no later tokens anyway. */
  readonly padding: number | null;
  /**
   * Tokens after which cached keys are no longer valid and the caches are filled again, because longrope changes its
   * frequencies there. Null: they stay valid.
   */
  readonly cacheLimit: number | null;
  readonly tensors: readonly TensorDefinition[];
  /** Names under which the tensor of a definition may be stored, in order of preference. */
  storedNames(name: string): readonly string[];
  /** The weights of the head that `tensors` leaves out, because they are others of the model. */
  readonly ties: readonly Tie[];
  /** The same model, whose head has these of its tied weights for itself. */
  untie(heads: ReadonlySet<string>): Architecture;
  /** Whether the model does not read a stored tensor (buffers, parts it does not have). Rebuilt folders leave it out. */
  ignores(storedName: string): boolean;
  /** Standard deviation of random normal weights. */
  readonly initStd: number;
  readonly head: Head;
  /** The input of the head, [positions, hidden], at the given rows of the packed tokens. */
  forward(pass: Pass, weights: WeightLookup, tokens: PackedTokens, positions: Int32Array): Activation;
}

export interface Family {
  /** model_type of config.json. */
  readonly modelType: string;
  /** @throws MODEL_UNSUPPORTED or MODEL_INVALID naming the field */
  configure(config: object): Architecture;
}
