/** Evaluations that were asked for and have ended, for the pages that list them. */
import { claimAny } from "../support/claims.ts";
import type { TestServer } from "../server/harness.ts";

const ask = "mutation ($input: CreateEvaluationInput!) { createEvaluation(input: $input) { evaluation { id } } }";

/**
 * @param model as createEvaluation names it
 * @param rights of each row, whether it is answered rightly
 */
export async function evaluated(
  { ask: query, store }: TestServer,
  model: object,
  dataset: string,
  rights: readonly boolean[],
  labelWords: readonly string[] = [],
): Promise<void> {
  await query(ask, { input: { model, dataset, labelWords } });
  const job = await claimAny(store);
  if (job?.kind !== "EVALUATE") throw new Error("the evaluation waits, and nothing before it");
  const accuracy = rights.filter(Boolean).length / rights.length;
  const measured = { rows: rights.length, loss: 0.5, accuracy, f1: null, exactMatch: null };
  await store.finishEvaluation(job, { status: "SUCCEEDED", measured, rows: rights.map(answerTo) });
}

const answerTo = (right: boolean, row: number) => ({
  row,
  prompt: `${row} is`,
  expected: " good",
  answer: right ? " good" : " bad",
  right,
  loss: right ? 0.25 : 0.75,
});
