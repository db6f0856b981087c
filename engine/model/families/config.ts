/** Reading config.json: each family has a schema of the fields it uses, and errors name the field. */
import { z } from "zod";
import { SteplogError } from "../../../schema/errors.ts";
import { limits } from "../../../schema/limits.ts";
import type { ActivationFunction } from "../../devices/device.ts";

/** Parses the fields a family uses, of the config or of its dictionary `within`. @throws MODEL_INVALID naming wrong fields */
export function parseConfig<T extends z.ZodType>(schema: T, config: unknown, within?: string): z.output<T> {
  const parsed = schema.safeParse(config);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.slice(0, limits.issuesReported).map(({ path, message }) => {
    return { field: [...(within === undefined ? [] : [within]), ...path].join("."), message };
  });
  const fields = issues.map((issue) => `${issue.field} (${issue.message})`).join(", ");
  throw new SteplogError("MODEL_INVALID", `config.json is wrong at ${fields}.`, issues);
}

/** A number of columns, rows or heads. The bound is far above any model, so that a hostile config costs no memory. */
export const size = z.int().positive().max(16_777_216);
/** A number of layers. */
export const layerCount = z.int().positive().max(10_000);
/** A number of positions. */
export const positionCount = z.int().positive().max(1_073_741_824);

/** One token id or several. */
export const tokenIds = z.union([z.int(), z.array(z.int())]).nullish();

/** Fields with the same meaning in every family. */
export const commonConfig = {
  eos_token_id: tokenIds,
  tie_word_embeddings: z.boolean().optional(),
};

/** Columns of an attention head. @throws MODEL_INVALID if the number of heads does not divide the hidden size */
export function headSizeOf(
  config: { hidden_size: number; num_attention_heads: number },
  [hidden, heads]: readonly [string, string] = ["hidden_size", "num_attention_heads"],
): number {
  const size = config.hidden_size / config.num_attention_heads;
  if (Number.isInteger(size)) return size;
  throw invalidField(hidden, `${hidden} ${config.hidden_size} is not a multiple of ${heads}`);
}

export function invalidField(field: string, message: string): SteplogError {
  return new SteplogError("MODEL_INVALID", `config.json: ${message}.`, [{ field, message }]);
}

export function endOfSequence(value: number | readonly number[] | null | undefined): readonly number[] {
  if (value === null || value === undefined) return [];
  return typeof value === "number" ? [value] : value;
}

/** The activation functions that Steplog implements, by their names in transformers (ACT2FN). */
const activationNames: Readonly<Record<string, ActivationFunction>> = {
  relu: "relu",
  gelu: "gelu",
  gelu_new: "gelu_tanh",
  gelu_pytorch_tanh: "gelu_tanh",
  silu: "silu",
  swish: "silu",
};

export function activationNamed(field: string, name: string): ActivationFunction {
  const found = activationNames[name];
  if (found) return found;
  throw unsupportedField(field, name, Object.keys(activationNames));
}

/** The error for a value of a config field that Steplog does not implement. */
export function unsupportedField(field: string, value: unknown, known: readonly string[]): SteplogError {
  const message = `config.json has ${field} = ${quoted(value)}; Steplog implements ${known.join(", ")}.`;
  return new SteplogError("MODEL_UNSUPPORTED", message, [{ field, message }]);
}

/** The value as JSON, which is too deep for JSON.stringify in some files. */
function quoted(value: unknown): string {
  try {
    const text = JSON.stringify(value);
    return text.length > 200 ? `${text.slice(0, 200)}...` : text;
  } catch {
    return "a value with too many levels";
  }
}

/** Refuses a field that, if set, changes the computation in a way that Steplog does not implement. */
export function refuseFlag(field: string, value: unknown): void {
  if (value !== undefined && value !== null && value !== false) throw unsupportedField(field, value, ["false", "null"]);
}
