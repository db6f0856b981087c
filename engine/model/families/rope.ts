/**
 * Rotary frequencies from a config: rope_theta and rope_scaling in hub checkpoints, or rope_parameters as transformers 5
 * writes it. The formulas are those of transformers for each rope_type (modeling_rope_utils).
 */
import { z } from "zod";
import { log, pow } from "../../numbers/deterministic-math.ts";
import { invalidField, parseConfig, positionCount, unsupportedField } from "./config.ts";

export interface Frequencies {
  /** Radians per position, for each pair of columns. */
  readonly frequencies: Float64Array;
  /** Sine and cosine are multiplied by it. */
  readonly scale: number;
}

export interface Rotary {
  /** For passes whose longest sequence has `length` tokens. */
  at(length: number): Frequencies;
  /** The length in tokens after which the frequencies change, or null. */
  readonly changesAfter: number | null;
}

/** The config fields of rotary positions. */
export const rotaryConfig = {
  max_position_embeddings: positionCount,
  original_max_position_embeddings: positionCount.nullish(),
  rope_theta: z.number().positive().optional(),
  rope_scaling: z.record(z.string(), z.unknown()).nullish(),
  rope_parameters: z.record(z.string(), z.unknown()).nullish(),
  partial_rotary_factor: z.number().positive().max(1).nullish(),
};

export type RotaryConfig = z.output<z.ZodObject<typeof rotaryConfig>>;

/** Parameters that all rope types have. */
interface Base {
  readonly theta: number;
  /** Rotated columns of a head. */
  readonly size: number;
  /** Longest sequence of the model, in tokens. */
  readonly context: number;
  readonly parameters: unknown;
}

const defaultTheta = 10_000;
/** Far above any model. Each two columns have a frequency, whose defined bits take a microsecond. */
const maxHeadSize = 65_536;

/** @throws MODEL_UNSUPPORTED for a rope_type not implemented; MODEL_INVALID for missing or wrong parameters */
export function readRotary(config: RotaryConfig, headSize: number): Rotary {
  const field = config.rope_scaling ? "rope_scaling" : "rope_parameters";
  const parameters = config.rope_scaling ?? config.rope_parameters ?? {};
  return rotaryFrom(field, { rope_theta: config.rope_theta ?? defaultTheta, ...parameters }, config, headSize);
}

/** Rotary positions from one dictionary of parameters, found in `field` of the config. */
export function rotaryFrom(
  field: string,
  parameters: Readonly<Record<string, unknown>>,
  config: RotaryConfig,
  headSize: number,
): Rotary {
  const nested = Object.entries(parameters).find(([, value]) => isDictionary(value));
  if (nested) throw unsupportedField(`${field}.${nested[0]}`, nested[1], ["one rope for all layers"]);
  const type = parameters["rope_type"] ?? parameters["type"] ?? "default";
  const make = typeof type === "string" && Object.hasOwn(types, type) ? types[type] : undefined;
  if (!make) throw unsupportedField(`${field}.rope_type`, type, Object.keys(types));
  const original = config.original_max_position_embeddings ?? parameters["original_max_position_embeddings"];
  const known = {
    partial_rotary_factor: config.partial_rotary_factor ?? 1,
    ...parameters,
    original_max_position_embeddings: original ?? config.max_position_embeddings,
  };
  const { rope_theta: theta, partial_rotary_factor: part } = parseConfig(baseSchema, known, field);
  if (headSize > maxHeadSize)
    throw invalidField("head_dim", `heads have ${headSize} columns; the limit is ${maxHeadSize}`);
  const size = Math.trunc(headSize * part);
  return make({ theta, size, context: config.max_position_embeddings, parameters: known }, field);
}

function isDictionary(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const baseSchema = z.object({ rope_theta: z.number().positive(), partial_rotary_factor: z.number().positive().max(1) });
const factor = z.number().positive();
const length = z.int().positive();

const types: Readonly<Record<string, (base: Base, field: string) => Rotary>> = {
  default: (base) => always(plain(base)),

  linear(base, field) {
    const scaling = parseConfig(z.object({ factor }), base.parameters, field);
    return always(plain(base).map((frequency) => frequency / scaling.factor));
  },

  /** NTK scaling applies to sequences longer than the model's context, which Steplog refuses, so this equals the default. */
  dynamic(base, field) {
    parseConfig(z.object({ factor }), base.parameters, field);
    return always(plain(base));
  },

  /** Low frequencies are divided by the factor, high ones kept, those between blended (Llama 3.1). */
  llama3(base, field) {
    const scaling = parseConfig(llama3Schema, base.parameters, field);
    const { low_freq_factor: low, high_freq_factor: high } = scaling;
    const frequencies = plain(base).map((frequency) => {
      const waves = (scaling.original_max_position_embeddings * frequency) / (2 * Math.PI);
      const kept = Math.min(1, Math.max(0, (waves - low) / (high - low)));
      return kept * frequency + ((1 - kept) * frequency) / scaling.factor;
    });
    return always(frequencies);
  },

  /** Like llama3, but blended by the index of the pair, with a factor of sine and cosine (Peng et al. 2023). */
  yarn(base, field) {
    const scaling = parseConfig(yarnSchema, base.parameters, field);
    const stretch = scaling.factor ?? base.context / scaling.original_max_position_embeddings;
    const frequencies = plain(base).map((frequency, pair) => {
      const stretched = ramp(base, scaling, pair);
      return (1 - stretched) * frequency + (stretched * frequency) / stretch;
    });
    return always(frequencies, scaling.attention_factor ?? yarnScale(scaling, stretch));
  },

  /** Each pair has a factor, with different factors for long and short sequences (Ding et al. 2024, Phi-3). */
  longrope(base, field) {
    const scaling = parseConfig(longropeSchema(Math.floor(base.size / 2)), base.parameters, field);
    const original = scaling.original_max_position_embeddings;
    const stretch = scaling.factor ?? base.context / original;
    const scale = scaling.attention_factor ?? (stretch <= 1 ? 1 : Math.sqrt(1 + log(stretch) / log(original)));
    const by = (factors: readonly number[]) => plain(base).map((frequency, pair) => frequency / (factors[pair] ?? 1));
    const [short, long] = [by(scaling.short_factor), by(scaling.long_factor)];
    return {
      at: (tokens) => ({ frequencies: tokens > original ? long : short, scale }),
      changesAfter: original,
    };
  },
};

function always(frequencies: Float64Array, scale = 1): Rotary {
  return { at: () => ({ frequencies, scale }), changesAfter: null };
}

/** theta^(-2 pair / size). */
function plain({ theta, size }: Base): Float64Array {
  return Float64Array.from({ length: Math.ceil(size / 2) }, (_, pair) => pow(theta, (-2 * pair) / size));
}

const llama3Schema = z.object({
  factor,
  low_freq_factor: z.number(),
  high_freq_factor: z.number(),
  original_max_position_embeddings: length,
});

const yarnSchema = z.object({
  factor: factor.nullish(),
  original_max_position_embeddings: length,
  attention_factor: z.number().positive().nullish(),
  beta_fast: z.number().nullish(),
  beta_slow: z.number().nullish(),
  mscale: z.number().nullish(),
  mscale_all_dim: z.number().nullish(),
  truncate: z.boolean().default(true),
});

type Yarn = z.output<typeof yarnSchema>;

/** How much of the scaling applies to a pair: 0 for high frequencies, 1 for low ones. */
function ramp({ theta, size }: Base, scaling: Yarn, pair: number): number {
  const pairOf = (turns: number) =>
    (size * log(scaling.original_max_position_embeddings / (turns * 2 * Math.PI))) / (2 * log(theta));
  const fast = pairOf(scaling.beta_fast ?? 32);
  const slow = pairOf(scaling.beta_slow ?? 1);
  const first = Math.max(0, scaling.truncate ? Math.floor(fast) : fast);
  const last = Math.min(size - 1, scaling.truncate ? Math.ceil(slow) : slow);
  return Math.min(1, Math.max(0, (pair - first) / (last === first ? 0.001 : last - first)));
}

function yarnScale({ mscale, mscale_all_dim: all }: Yarn, stretch: number): number {
  const scale = (by: number) => (stretch <= 1 ? 1 : 0.1 * by * log(stretch) + 1);
  return mscale && all ? scale(mscale) / scale(all) : scale(1);
}

function longropeSchema(pairs: number) {
  const factors = z.array(z.number().positive()).length(pairs);
  return z.object({
    factor: factor.nullish(),
    original_max_position_embeddings: length,
    attention_factor: z.number().positive().nullish(),
    short_factor: factors,
    long_factor: factors,
  });
}
