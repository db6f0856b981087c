/** What a model predicts at a place: the token that follows it, or the one that a mask stands for (RoBERTa). */
export type Objective = "causal" | "masked";

/** Families (model_type of config.json) that are trained to fill masks; the others are causal. */
const maskedFamilies = new Set(["roberta"]);

export function objectiveOf(family: string): Objective {
  return maskedFamilies.has(family) ? "masked" : "causal";
}
