/**
 * An adapter on disk in peft's format: adapter_config.json and adapter_model.safetensors. Fields are read as peft 0.21
 * defines them; a field that asks for something not implemented is refused.
 */
import { join } from "node:path";
import { z } from "zod";
import { modelTextBytes, readModelText } from "../../../dataset/model-text.ts";
import { SteplogError } from "../../../schema/errors.ts";
import type { TrainableTensor } from "../../../schema/step-log.ts";
import type { AnyAdapter, AnySeededAdapter } from "./all.ts";
import type { Architecture } from "../families/family.ts";
import { refuseNoFolder } from "../files/folder.ts";
import { asTrained, trainedDtype } from "../files/half.ts";
import type { AdaptedModule, LinearModule, SeededLora } from "./lora.ts";
import { adapt, linearModules, loraAdapter } from "./lora.ts";
import { lastPart } from "../../../schema/name-patterns.ts";
import type { PrefixAdapter } from "./prefix.ts";
import { keyColumns, prefixAdapter, prefixTensor } from "./prefix.ts";
import type { TensorLocation } from "../files/safetensors.ts";
import { readSafetensorsHeader, readTensor } from "../files/safetensors.ts";

export const adapterConfigName = "adapter_config.json";
export const adapterWeightsName = "adapter_model.safetensors";

const kindSchema = z.looseObject({ peft_type: z.string() });

const prefixSchema = z.looseObject({
  peft_type: z.string(),
  num_virtual_tokens: z.int().positive(),
  num_layers: z.int().positive().nullish(),
  token_dim: z.int().positive().nullish(),
  num_attention_heads: z.int().positive().nullish(),
  num_transformer_submodules: z.int().nullish(),
});

const loraSchema = z.looseObject({
  peft_type: z.string(),
  r: z.int().positive(),
  lora_alpha: z.number(),
  use_rslora: z.boolean().default(false),
  alpha_pattern: z.record(z.string(), z.number()).default({}),
  bias: z.string().default("none"),
  init_lora_weights: z.union([z.boolean(), z.string()]).default(true),
});

type LoraConfig = z.output<typeof loraSchema>;

/** Fields that are read above, or that do not change what the stored tensors mean. */
const harmless = ["base_model_name_or_path", "revision", "auto_mapping", "peft_version", "task_type", "inference_mode"];
const harmlessOfPrefix = new Set([
  ...harmless,
  ...Object.keys(prefixSchema.shape),
  "encoder_hidden_size",
  "init_weights",
]);
const harmlessOfLora = new Set(
  [
    harmless,
    Object.keys(loraSchema.shape),
    ["target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "rank_pattern", "lora_dropout"],
    ["fan_in_fan_out", "megatron_config", "megatron_core", "qalora_group_size", "ensure_weight_tying"],
    ["loftq_config", "eva_config", "corda_config", "lora_ga_config", "runtime_config"],
  ].flat(),
);

/** Initialisations that leave the base's weights alone; the others move part of them into the adapter. */
const plainInitialisations = new Set<unknown>([true, false, "gaussian", "orthogonal", "eva"]);

/**
 * Opens an adapter for a model.
 * @throws NOT_FOUND, MODEL_INVALID; MODEL_UNSUPPORTED naming the field
 */
export async function openAdapter(folder: string, architecture: Architecture): Promise<AnyAdapter> {
  const config = await readConfig(folder);
  const { peft_type: kind } = parsedConfig(folder, kindSchema, config);
  const stored = await readSafetensorsHeader(join(folder, adapterWeightsName));
  const byName = new Map(stored.map((tensor) => [tensor.name, tensor]));
  const read = async ({ name }: TrainableTensor) => {
    const tensor = byName.get(name);
    if (!tensor) throw misfit(folder, `tensor ${name} is missing`);
    const bytes = await readTensor(tensor);
    return asTrained(tensor, bytes);
  };
  if (kind === "PREFIX_TUNING") return openPrefix(folder, architecture, config, byName, read);
  if (kind !== "LORA") throw refused(folder, "peft_type", kind, "LORA and PREFIX_TUNING");
  const lora = parsedConfig(folder, loraSchema, config);
  refuseOthers(folder, lora);
  const modules = linearModules(architecture).flatMap((module) => adaptedBy(module, lora, byName) ?? []);
  if (modules.length === 0) throw misfit(folder, "it adapts none of the model's linear layers");
  const adapter = loraAdapter(modules, read);
  refuseMisfits(folder, adapter.tensors, byName, "linear layer");
  return adapter;
}

function openPrefix(
  folder: string,
  architecture: Architecture,
  config: unknown,
  stored: ReadonlyMap<string, TensorLocation>,
  read: AnyAdapter["read"],
): AnyAdapter {
  const { num_virtual_tokens: length, ...fields } = parsedConfig(folder, prefixSchema, config);
  refuseUnknown(folder, fields, harmlessOfPrefix);
  const tensor = prefixTensor(architecture, length);
  const own = inDtypeOf(tensor, stored.get(tensor.name));
  refuseMisfits(folder, [own], stored, "prefix");
  return prefixAdapter(architecture, own, read);
}

async function readConfig(folder: string): Promise<unknown> {
  const path = join(folder, adapterConfigName);
  const advice = "Give a folder written by peft's save_pretrained.";
  await refuseNoFolder(folder, advice);
  const text = await readModelText(path, modelTextBytes.config);
  if (text === null) throw new SteplogError("NOT_FOUND", `${folder} has no ${adapterConfigName}. ${advice}`);
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new SteplogError("MODEL_INVALID", `${path} is not JSON.`, [], { cause });
  }
}

function parsedConfig<Schema extends z.ZodType>(folder: string, schema: Schema, config: unknown): z.output<Schema> {
  const parsed = schema.safeParse(config);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => ({ field: issue.path.join("."), message: issue.message }));
  const [first] = issues;
  const where = join(folder, adapterConfigName);
  throw new SteplogError("MODEL_INVALID", `${where} is wrong at ${first?.field}: ${first?.message}.`, issues);
}

function refuseOthers(folder: string, config: LoraConfig): void {
  if (config.bias !== "none") throw refused(folder, "bias", config.bias, "none");
  if (!plainInitialisations.has(config.init_lora_weights)) {
    const known = "adapters that leave the base as it is (true, gaussian, orthogonal, eva)";
    throw refused(folder, "init_lora_weights", config.init_lora_weights, known);
  }
  refuseUnknown(folder, config, harmlessOfLora);
}

function refuseUnknown(folder: string, config: Readonly<Record<string, unknown>>, known: ReadonlySet<string>): void {
  for (const [field, value] of Object.entries(config)) {
    if (!known.has(field) && !isOff(value)) throw refused(folder, field, value, "adapters without it");
  }
}

function refused(folder: string, field: string, value: unknown, known: string): SteplogError {
  const message = `${field} is ${JSON.stringify(value)}, and Steplog supports only ${known}`;
  return new SteplogError("MODEL_UNSUPPORTED", `${join(folder, adapterConfigName)}: ${message}.`, [{ field, message }]);
}

function isOff(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length === 0;
  return value === null || value === undefined || value === false;
}

function adaptedBy(
  module: LinearModule,
  config: LoraConfig,
  stored: ReadonlyMap<string, TensorLocation>,
): AdaptedModule | null {
  const { a, b } = adapt(module, 1, 1);
  const [first, second] = [stored.get(a.name), stored.get(b.name)];
  if (!first && !second) return null;
  const rank = first?.shape[0] ?? second?.shape[1] ?? config.r;
  const alpha = patternValue(config.alpha_pattern, module.name) ?? config.lora_alpha;
  const adapted = adapt(module, rank, alpha / (config.use_rslora ? Math.sqrt(rank) : rank));
  return { ...adapted, a: inDtypeOf(adapted.a, first), b: inDtypeOf(adapted.b, second) };
}

function inDtypeOf(tensor: TrainableTensor, stored: TensorLocation | undefined): TrainableTensor {
  return { ...tensor, dtype: trainedDtype(stored ?? tensor) };
}

/** As in peft: the value of the first pattern that matches the whole name or its end after a dot. */
function patternValue(patterns: Readonly<Record<string, number>>, name: string): number | undefined {
  return Object.entries(patterns).find(([pattern]) =>
    new RegExp(String.raw`^(?:.*\.)?(?:${pattern})$`, "u").test(name),
  )?.[1];
}

function refuseMisfits(
  folder: string,
  tensors: readonly TrainableTensor[],
  stored: ReadonlyMap<string, TensorLocation>,
  part: string,
): void {
  for (const { name, shape } of tensors) {
    const tensor = stored.get(name);
    if (!tensor) throw misfit(folder, `tensor ${name} is missing`);
    if (!["F32", "BF16", "F16"].includes(tensor.dtype))
      throw misfit(folder, `tensor ${name} has dtype ${tensor.dtype}`);
    if (tensor.shape.join() !== shape.join()) {
      throw misfit(
        folder,
        `tensor ${name} has shape [${tensor.shape.join(",")}] where the model needs [${shape.join(",")}]`,
      );
    }
  }
  const wanted = new Set(tensors.map(({ name }) => name));
  const other = [...stored.keys()].find((name) => !wanted.has(name));
  if (other !== undefined) throw misfit(folder, `tensor ${other} belongs to no ${part} of the model`);
}

function misfit(folder: string, reason: string): SteplogError {
  const advice = "Give the base model that the adapter was trained on.";
  return new SteplogError("MODEL_INVALID", `The adapter in ${folder} does not fit the model: ${reason}. ${advice}`);
}

/** The contents of adapter_config.json. `base` is the name or path from which peft loads the base model. */
export function peftConfig(
  architecture: Architecture,
  adapter: AnySeededAdapter,
  base: string | null,
): Record<string, unknown> {
  return {
    base_model_name_or_path: base,
    inference_mode: true,
    task_type: architecture.kind === "causal" ? "CAUSAL_LM" : null,
    ...(adapter.kind === "lora" ? loraConfig(architecture, adapter) : prefixConfig(architecture, adapter)),
  };
}

function loraConfig(architecture: Architecture, { modules, header: { lora } }: SeededLora) {
  return {
    bias: "none",
    fan_in_fan_out: modules.some(({ layout }) => layout === "in-out"),
    init_lora_weights: true,
    lora_alpha: lora.alpha,
    lora_dropout: 0,
    peft_type: "LORA",
    r: lora.rank,
    target_modules: targetsOf(architecture, modules),
  };
}

function prefixConfig(architecture: Architecture, { prefixLength }: PrefixAdapter) {
  return {
    num_attention_heads: architecture.keyValueHeads,
    num_layers: architecture.layers,
    num_transformer_submodules: 1,
    num_virtual_tokens: prefixLength,
    peft_type: "PREFIX_TUNING",
    prefix_projection: false,
    token_dim: keyColumns(architecture),
  };
}

/** The last parts of the names if they select the same layers, else whole names. */
function targetsOf(architecture: Architecture, modules: readonly AdaptedModule[]): string[] {
  const parts = [...new Set(modules.map(({ name }) => lastPart(name)))];
  const meant = linearModules(architecture).filter(({ name }) => parts.includes(lastPart(name)));
  return meant.length === modules.length ? parts.toSorted() : modules.map(({ name }) => name);
}
