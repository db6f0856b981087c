/** The model families. CONTRIBUTING.md, "Add a model family", tells how to add one. */
import { SteplogError } from "../../../schema/errors.ts";
import { refuseQuantisedConfig } from "../files/quantised.ts";
import type { Architecture, Family } from "./family.ts";
import { refuseFlag, unsupportedField } from "./config.ts";
import { gemma2, gemma3 } from "./gemma.ts";
import { gpt2 } from "./gpt2.ts";
import { llama } from "./llama.ts";
import { mistral } from "./mistral.ts";
import { opt } from "./opt.ts";
import { phi3 } from "./phi3.ts";
import { qwen2, qwen3 } from "./qwen.ts";
import { roberta } from "./roberta.ts";

const families: readonly Family[] = [gpt2, opt, llama, mistral, qwen2, qwen3, phi3, gemma2, gemma3, roberta];

/** model_type of every family that can be trained. */
export const familyNames: readonly string[] = families.map(({ modelType }) => modelType);

/** @throws MODEL_UNSUPPORTED or MODEL_INVALID naming the field of config.json */
export function configureModel(config: unknown): Architecture {
  if (typeof config !== "object" || config === null) {
    throw new SteplogError("MODEL_INVALID", "config.json is not a JSON object.");
  }
  const modelType: unknown = "model_type" in config ? config.model_type : undefined;
  const family = families.find((candidate) => candidate.modelType === modelType);
  if (!family) throw unsupportedField("model_type", modelType ?? null, familyNames);
  refuseQuantisedConfig(config);
  refuseForeignFields(config);
  return family.configure(config);
}

/** Fields that transformers honours in every family, and Steplog does not. */
function refuseForeignFields(config: object): void {
  const fields = config as Readonly<Record<string, unknown>>;
  if (fields["is_causal"] === false) throw unsupportedField("is_causal", false, ["true"]);
  refuseFlag("transformers_weights", fields["transformers_weights"]);
  const { pruned_heads: pruned } = fields;
  if (typeof pruned === "object" && pruned !== null && Object.keys(pruned).length > 0) {
    throw unsupportedField("pruned_heads", pruned, ["models with all their heads"]);
  }
}
