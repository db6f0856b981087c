/**
 * An adapter on disk as peft keeps it: adapter_config.json and adapter_model.safetensors. Read by what the fields mean in
 * peft 0.21, and refused where they ask for what is not implemented.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { SteplogError } from "../../schema/errors.ts";
import type { TrainableTensor } from "../../schema/step-log.ts";
import type { Architecture } from "./family.ts";
import { widenHalf } from "./half.ts";
import type { Adapter, AdaptedModule, LinearModule } from "./lora.ts";
import { adapt, linearModules } from "./lora.ts";
import { lastPart } from "./names.ts";
import type { TensorLocation } from "./safetensors.ts";
import { readSafetensorsHeader, readTensor } from "./safetensors.ts";

export const adapterConfigName = "adapter_config.json";
export const adapterWeightsName = "adapter_model.safetensors";

const configSchema = z.looseObject({
  peft_type: z.string(),
  r: z.int().positive(),
  lora_alpha: z.number(),
  use_rslora: z.boolean().default(false),
  alpha_pattern: z.record(z.string(), z.number()).default({}),
  bias: z.string().default("none"),
  init_lora_weights: z.union([z.boolean(), z.string()]).default(true),
});

type Config = z.output<typeof configSchema>;

/** Fields that are read above, or that change nothing of what stored tensors mean. */
const harmless = new Set(
  [
    Object.keys(configSchema.shape),
    ["base_model_name_or_path", "revision", "auto_mapping", "peft_version", "task_type", "inference_mode"],
    ["target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "rank_pattern", "lora_dropout"],
    ["fan_in_fan_out", "megatron_config", "megatron_core", "qalora_group_size", "ensure_weight_tying"],
    ["loftq_config", "eva_config", "corda_config", "lora_ga_config", "runtime_config"],
  ].flat(),
);

/** Ways of beginning that leave the base's weights as they are; the others put a part of them into the adapter. */
const plainBeginnings = new Set<unknown>([true, false, "gaussian", "orthogonal", "eva"]);

/**
 * Opens an adapter for a model.
 * @throws NOT_FOUND, MODEL_INVALID; MODEL_UNSUPPORTED naming the field
 */
export async function openAdapter(folder: string, architecture: Architecture): Promise<Adapter> {
  const config = await readConfig(folder);
  const stored = await readSafetensorsHeader(join(folder, adapterWeightsName));
  const byName = new Map(stored.map((tensor) => [tensor.name, tensor]));
  const modules = linearModules(architecture).flatMap((module) => adaptedBy(module, config, byName) ?? []);
  refuseMisfits(folder, modules, byName);
  return {
    modules,
    read: async ({ name }) => {
      const tensor = byName.get(name);
      if (!tensor) throw misfit(folder, `tensor ${name} is missing`);
      const bytes = await readTensor(tensor);
      return tensor.dtype === "F16" ? widenHalf(bytes) : bytes;
    },
  };
}

async function readConfig(folder: string): Promise<Config> {
  const path = join(folder, adapterConfigName);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    const advice = "Give a folder as peft's save_pretrained writes it.";
    throw new SteplogError("NOT_FOUND", `${folder} has no ${adapterConfigName}. ${advice}`, [], { cause });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new SteplogError("MODEL_INVALID", `${path} is not JSON.`, [], { cause });
  }
  const parsed = configSchema.safeParse(value);
  if (!parsed.success) {
    const issues = parsed.error.issues.map((issue) => ({ field: issue.path.join("."), message: issue.message }));
    const [first] = issues;
    throw new SteplogError("MODEL_INVALID", `${path} is wrong at ${first?.field}: ${first?.message}.`, issues);
  }
  refuseOthers(path, parsed.data);
  return parsed.data;
}

function refuseOthers(path: string, config: Config): void {
  const refused = (field: string, value: unknown, known: string) => {
    const message = `${field} is ${JSON.stringify(value)}, and Steplog knows ${known}`;
    return new SteplogError("MODEL_UNSUPPORTED", `${path}: ${message}.`, [{ field, message }]);
  };
  if (config.peft_type !== "LORA") throw refused("peft_type", config.peft_type, "LORA");
  if (config.bias !== "none") throw refused("bias", config.bias, "none");
  if (!plainBeginnings.has(config.init_lora_weights)) {
    const known = "adapters that leave the base as it is (true, gaussian, orthogonal, eva)";
    throw refused("init_lora_weights", config.init_lora_weights, known);
  }
  for (const [field, value] of Object.entries(config)) {
    if (!harmless.has(field) && !isOff(value)) throw refused(field, value, "adapters without it");
  }
}

function isOff(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length === 0;
  return value === null || value === undefined || value === false;
}

function adaptedBy(
  module: LinearModule,
  config: Config,
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
  return { ...tensor, dtype: stored?.dtype === "BF16" ? "BF16" : "F32" };
}

/** peft takes the first pattern that fits the whole name or its end, from behind a dot. */
function patternValue(patterns: Readonly<Record<string, number>>, name: string): number | undefined {
  return Object.entries(patterns).find(([pattern]) =>
    new RegExp(String.raw`^(?:.*\.)?(?:${pattern})$`, "u").test(name),
  )?.[1];
}

function refuseMisfits(
  folder: string,
  modules: readonly AdaptedModule[],
  stored: ReadonlyMap<string, TensorLocation>,
): void {
  if (modules.length === 0) throw misfit(folder, "it has adapters for no linear layer of it");
  const wanted = new Map(modules.flatMap(({ a, b }) => [a, b]).map((tensor) => [tensor.name, tensor]));
  for (const { name, shape } of wanted.values()) {
    const tensor = stored.get(name);
    if (!tensor) throw misfit(folder, `tensor ${name} is missing`);
    if (!["F32", "BF16", "F16"].includes(tensor.dtype))
      throw misfit(folder, `tensor ${name} has dtype ${tensor.dtype}`);
    if (tensor.shape.join() !== shape.join()) {
      throw misfit(folder, `tensor ${name} has shape [${tensor.shape.join(",")}] where [${shape.join(",")}] fits`);
    }
  }
  const other = [...stored.keys()].find((name) => !wanted.has(name));
  if (other !== undefined) throw misfit(folder, `tensor ${other} belongs to no linear layer of it`);
}

function misfit(folder: string, reason: string): SteplogError {
  const advice = "Give the adapter's own base model.";
  return new SteplogError("MODEL_INVALID", `The adapter in ${folder} does not fit the model: ${reason}. ${advice}`);
}

/** What peft's LoraConfig is loaded from. `base` is a name or path for people and for peft's own loading of the base. */
export function peftConfig(
  architecture: Architecture,
  modules: readonly AdaptedModule[],
  { rank, alpha, base }: { readonly rank: number; readonly alpha: number; readonly base: string | null },
): Record<string, unknown> {
  return {
    base_model_name_or_path: base,
    bias: "none",
    fan_in_fan_out: modules.some(({ layout }) => layout === "in-out"),
    inference_mode: true,
    init_lora_weights: true,
    lora_alpha: alpha,
    lora_dropout: 0,
    peft_type: "LORA",
    r: rank,
    target_modules: targetsOf(architecture, modules),
    task_type: architecture.objective === "causal" ? "CAUSAL_LM" : null,
  };
}

/** Last parts of names where these mean the same layers, else whole names. */
function targetsOf(architecture: Architecture, modules: readonly AdaptedModule[]): string[] {
  const parts = [...new Set(modules.map(({ name }) => lastPart(name)))];
  const meant = linearModules(architecture).filter(({ name }) => parts.includes(lastPart(name)));
  return meant.length === modules.length ? parts.toSorted() : modules.map(({ name }) => name);
}
