/**
 * LoRA (Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models"): a linear layer keeps its frozen matrix W and
 * learns two small ones, A [rank, inputs] and B [outputs, rank]:
 *
 *   y = W x + scale * B (A x)        scale = alpha / rank (equation 3)
 *
 * Tensors have peft's names. Model families know nothing of this: an adapted pass adds the second term to the linear layers
 * that have one.
 */
import { SteplogError } from "../../../schema/errors.ts";
import { isTargeted } from "../../../schema/adapter-size.ts";
import { unmatchedLayers } from "../../../schema/name-patterns.ts";
import type { StepLogHeader, TrainableTensor } from "../../../schema/step-log.ts";
import type { Activation, Pass, WeightLayout } from "../../devices/device.ts";
import { Philox, streams, tensorId } from "../../numbers/noise.ts";
import type { Adapter, LowRankTerm } from "./adapter.ts";
import { changedPass, refuseOtherTensors } from "./adapter.ts";
import type { Architecture, WeightLookup } from "../families/family.ts";

/** A linear layer of a model. */
export interface LinearModule {
  /** Its name in transformers: the weight's name without ".weight". */
  readonly name: string;
  /** Name of its weight among the architecture's definitions. */
  readonly weight: string;
  readonly layout: WeightLayout;
  readonly inputs: number;
  readonly outputs: number;
}

/** A linear layer with an adapter. */
export interface AdaptedModule extends LinearModule {
  /** [rank, inputs] */
  readonly a: TrainableTensor;
  /** [outputs, rank] */
  readonly b: TrainableTensor;
  readonly scale: number;
}

export interface LoraAdapter extends Adapter {
  readonly kind: "lora";
  readonly modules: readonly AdaptedModule[];
}

export type LoraHeader = NonNullable<StepLogHeader["lora"]>;

export interface SeededLora extends LoraAdapter {
  readonly header: { readonly lora: LoraHeader };
}

/** The linear layers of a model, except the head. */
export function linearModules({ tensors }: Architecture): LinearModule[] {
  return tensors.flatMap(({ name: weight, shape, linear: layout }) => {
    if (layout === undefined) return [];
    const [outputs = 0, inputs = 0] = layout === "out-in" ? shape : shape.toReversed();
    return [{ name: weight.replace(/\.weight$/u, ""), weight, layout, inputs, outputs }];
  });
}

/**
 * The layers whose names match one of the targets (schema/name-patterns.ts); the default ones without targets.
 * @throws INVALID_ARGUMENT naming the target that matches no layer, and the names there are
 */
export function targetedModules(architecture: Architecture, targets: readonly string[]): LinearModule[] {
  const all = linearModules(architecture);
  const unknown = unmatchedLayers(targets, { layers: all.map(({ name }) => name) });
  if (unknown) {
    const { index, seen, advice } = unknown;
    const field = `hyperparameters.loraTargets[${index}]`;
    throw new SteplogError("INVALID_ARGUMENT", `${seen}. ${advice}`, [{ field, message: seen }]);
  }
  return all.filter((module) => isTargeted(module.name, targets));
}

/** Adds an adapter to a layer. It is trained as float32 whatever the dtype of the base, since it is small. */
export function adapt(module: LinearModule, rank: number, scale: number): AdaptedModule {
  const name = `base_model.model.${module.name}`;
  return {
    ...module,
    scale,
    a: { name: `${name}.lora_A.weight`, shape: [rank, module.inputs], dtype: "F32" },
    b: { name: `${name}.lora_B.weight`, shape: [module.outputs, rank], dtype: "F32" },
  };
}

/** An adapter on these layers. `read` supplies its tensors at the start of training. */
export function loraAdapter(modules: readonly AdaptedModule[], read: Adapter["read"]): LoraAdapter {
  const tensors = modules
    .flatMap(({ a, b }) => [a, b])
    .toSorted((one, other) => Buffer.compare(Buffer.from(one.name), Buffer.from(other.name)));
  return {
    kind: "lora",
    modules,
    tensors,
    prefixLength: 0,
    read,
    terms: (own, base) => weightsByLayer(modules, own, base),
    attach(own, base) {
      const weights = weightsByLayer(modules, own, base);
      return (pass) => adaptedPass(pass, weights);
    },
  };
}

/** A new adapter: A is random, from the seed, and B is zero, so that the model starts equal to its base. */
export function seededLora(modules: readonly LinearModule[], lora: LoraHeader): SeededLora {
  const { rank, alpha, seed } = lora;
  const adapted = modules.map((module) => adapt(module, rank, alpha / rank));
  const first = new Map(adapted.map(({ a, inputs }) => [a.name, inputs]));
  const read = ({ name, shape }: TrainableTensor) => {
    const inputs = first.get(name);
    const elements = shape.reduce((product, size) => product * size, 1);
    const values = inputs === undefined ? new Float32Array(elements) : kaimingUniform(name, elements, inputs, seed);
    return Promise.resolve(new Uint8Array(values.buffer));
  };
  return { ...loraAdapter(adapted, read), header: { lora } };
}

/**
 * Uniform over +-1 / sqrt(inputs): He initialisation (He et al. 2015) with the slope sqrt(5), the default of torch's linear
 * layers and of peft's A. docs/STEP_LOG.md, "Adapters", defines the bits.
 */
function kaimingUniform(name: string, elements: number, inputs: number, seed: number): Float32Array {
  const words = new Uint32Array(4 * Math.ceil(elements / 4));
  new Philox(BigInt(seed), tensorId(name), streams.adapter).blocks(0, words.length / 4, words);
  const bound = Math.fround(1 / Math.sqrt(inputs));
  return Float32Array.from(words.subarray(0, elements), (word) => ((2 * (word >>> 8) + 1) / 2 ** 24 - 1) * bound);
}

/**
 * The adapter that a log trains, at its start.
 * @throws LOG_INVALID if the base lacks its layers
 */
export function loraOfLog(
  architecture: Architecture,
  { trainable }: Pick<StepLogHeader, "trainable">,
  lora: LoraHeader,
): SeededLora {
  const names = new Set(trainable.map(({ name }) => name));
  const modules = linearModules(architecture).filter((module) => {
    const { a, b } = adapt(module, 1, 1);
    return names.has(a.name) || names.has(b.name);
  });
  const adapter = seededLora(modules, lora);
  refuseOtherTensors(trainable, adapter.tensors);
  return adapter;
}

/** By the stored name of the layer's own weight. */
function weightsByLayer(
  modules: readonly AdaptedModule[],
  own: WeightLookup,
  base: WeightLookup,
): Map<string, LowRankTerm> {
  return new Map(
    modules.map(({ weight, a, b, scale }) => [base(weight).name, { a: own(a.name), b: own(b.name), scale }]),
  );
}

/** The pass with the second term added to linear layers whose weight, by its stored name, has an adapter. */
function adaptedPass(pass: Pass, adapters: ReadonlyMap<string, LowRankTerm>): Pass {
  const linear: Pass["linear"] = (x, weight, bias, layout) => {
    const y = pass.linear(x, weight, bias, layout);
    const adapter = adapters.get(weight.name);
    return adapter ? pass.add(y, lowRank(pass, x, adapter)) : y;
  };
  return changedPass(pass, { linear });
}

function lowRank(pass: Pass, x: Activation, { a, b, scale }: LowRankTerm): Activation {
  return pass.scale(pass.linear(pass.linear(x, a, null), b, null), scale);
}
