/** What a model predicts at a position: the next token (causal), or the token that a mask hides (masked, as RoBERTa). */
export type ModelKind = "causal" | "masked";

/** Families (model_type of config.json) that are trained to fill masks; all others are causal. */
export const maskedFamilies = ["roberta"] as const;

export function modelKindOf(family: string): ModelKind {
  return (maskedFamilies as readonly string[]).includes(family) ? "masked" : "causal";
}

/** Whether a model can be asked: one that fills gaps has no next token. */
export const canWrite = ({ family }: { readonly family: string }) => modelKindOf(family) === "causal";
