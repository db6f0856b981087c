/** Reading config.json: known fields by a family's schema, errors that name the field. */
import { z } from "zod";
import { SteplogError } from "../../schema/errors.ts";
import type { ActivationFunction } from "../devices/device.ts";

/** Parses the fields a family uses. @throws MODEL_INVALID naming the fields that are missing or wrong. */
export function parseConfig<T extends z.ZodType>(schema: T, config: unknown): z.output<T> {
  const parsed = schema.safeParse(config);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => ({ field: issue.path.join("."), message: issue.message }));
  const fields = issues.map((issue) => `${issue.field} (${issue.message})`).join(", ");
  throw new SteplogError("MODEL_INVALID", `config.json is wrong at ${fields}.`, issues);
}

/** The fields that every family reads alike. */
export const commonConfig = {
  vocab_size: z.int().positive(),
  num_hidden_layers: z.int().positive(),
  num_attention_heads: z.int().positive(),
  eos_token_id: z.union([z.int(), z.array(z.int())]).nullish(),
  tie_word_embeddings: z.boolean().optional(),
};

export function endOfSequence(value: number | readonly number[] | null | undefined): readonly number[] {
  if (value === null || value === undefined) return [];
  return typeof value === "number" ? [value] : value;
}

/** transformers' names of activation functions (ACT2FN) that Steplog implements. */
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

/** @returns the error that refuses a value of a config field that Steplog does not implement. */
export function unsupportedField(field: string, value: unknown, known: readonly string[]): SteplogError {
  const message = `config.json has ${field} = ${JSON.stringify(value)}; Steplog implements ${known.join(", ")}.`;
  return new SteplogError("MODEL_UNSUPPORTED", message, [{ field, message }]);
}
