/** Quantised weights, which Steplog does not train: recognised by the config or by the tensors, and refused by name. */
import { SteplogError } from "../../../schema/errors.ts";
import type { TensorInfo } from "./safetensors.ts";

const advice =
  "Steplog trains weights of float32, bfloat16 or float16: add the model that these were quantised from (its page on the " +
  "hub names it as the base model).";

/** Fields of config.json that say how weights were quantised; mlx-lm calls its own quantization. */
const fields = new Set(["quantization_config", "quantization", "compression_config"]);

/** @throws MODEL_UNSUPPORTED for a config of a quantised model */
export function refuseQuantisedConfig(config: object): void {
  const [field, value] = Object.entries(config).find(([name, set]) => fields.has(name) && set) ?? [];
  if (field === undefined) return;
  const message = `the weights are quantised (${methodOf(field, value)}), as ${field} in config.json says`;
  throw new SteplogError("MODEL_UNSUPPORTED", `This model cannot be trained: ${message}. ${advice}`, [
    { field, message },
  ]);
}

function methodOf(field: string, value: unknown): string {
  const settings = typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  const { quant_method: named, bits } = settings;
  const method = typeof named === "string" ? named : field === "quantization" ? "mlx" : "method not named";
  return typeof bits === "number" ? `${method}, ${bits} bits` : method;
}

/** @throws MODEL_UNSUPPORTED for the files of a folder whose weights are in GGUF, which holds quantised ones */
export function refuseQuantisedFiles(folder: string, names: readonly string[]): void {
  const file = names.find((name) => name.endsWith(".gguf"));
  if (file === undefined) return;
  throw new SteplogError("MODEL_UNSUPPORTED", `${folder} has its weights in ${file}, usually quantised. ${advice}`);
}

/** Endings of the names of tensors that quantised weights come with. */
const traces: readonly (readonly [RegExp, string])[] = [
  [/\.(?:qweight|qzeros|g_idx)$/u, "GPTQ or AWQ"],
  [/\.(?:absmax|nested_absmax|quant_map|nested_quant_map|SCB|quant_state\.\w+)$/u, "bitsandbytes"],
  [/\.(?:weight_packed|weight_scale|weight_scale_inv|weight_zero_point|input_scale)$/u, "FP8 or compressed-tensors"],
  [/\.(?:scales|biases)$/u, "MLX"],
];

/** dtypes of packed or scaled weights. */
const packed = /^(?:U32|F8_\w+|F6_\w+|F4)$/u;

/** @throws MODEL_UNSUPPORTED if one of the tensors is of quantised weights */
export function refuseQuantisedTensors(folder: string, tensors: readonly TensorInfo[]): void {
  const isPacked = ({ dtype }: TensorInfo) => packed.test(dtype);
  const method = traces.find(([ending]) => tensors.some(({ name }) => ending.test(name)))?.[1];
  const tensor = tensors.find(isPacked) ?? tensors.find(({ name }) => traces.some(([ending]) => ending.test(name)));
  if (!tensor) return;
  const message = `tensor ${tensor.name} has dtype ${tensor.dtype}${method === undefined ? "" : `, as ${method} has it`}`;
  throw new SteplogError("MODEL_UNSUPPORTED", `The weights in ${folder} are quantised: ${message}. ${advice}`, [
    { field: tensor.name, message },
  ]);
}
