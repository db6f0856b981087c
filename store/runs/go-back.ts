/**
 * The end of a run; and of one that diverged and goes back (setting whenDiverged), in the same transaction, the run that takes
 * its remaining steps from its best checkpoint. So it is created once, or the run has not ended.
 */
import { eq } from "drizzle-orm";
import type { Hyperparameters } from "../../schema/hyperparameters.ts";
import { limits } from "../../schema/limits.ts";
import { type FineTune, fineTunes } from "../../schema/tables.ts";
import { type Transaction, only } from "../postgres/database.ts";
import type { Lease } from "../queue/leases.ts";
import { type ForkPoint, create } from "./create.ts";
import { addEvent } from "./events.ts";
import { type FineTuneOutcome, finishFineTune, lockRunOf } from "./lifecycle.ts";

/** Where and how a run goes back. */
export interface GoBack {
  /** Null for the base model. */
  readonly from: ForkPoint | null;
  /** The step of that place in the run that diverged, for people. */
  readonly step: number;
  readonly hyperparameters: Hyperparameters;
  /** What to say if it does not go back, because too many runs in a row did. */
  readonly otherwise: string;
}

export type RunEnd = FineTuneOutcome & { readonly goBack?: GoBack | undefined };

/** A run that has gone back too often ends without another. */
export async function endFineTune(tx: Transaction, lease: Lease, { goBack, ...outcome }: RunEnd): Promise<void> {
  if (goBack && outcome.status === "FAILED") {
    const run = await lockRunOf(tx, lease);
    const next = await goneBack(tx, run, goBack);
    const more = next === null ? `${tooOften} ${goBack.otherwise}` : goesOn(next, goBack);
    await finishFineTune(tx, lease, { ...outcome, message: `${outcome.message} ${more}` });
  } else {
    await finishFineTune(tx, lease, outcome);
  }
}

const tooOften = `It does not go back: ${limits.goBacks} runs in a row did, and diverged.`;

const named = ({ name, id }: FineTune) => `${JSON.stringify(name)} (${id})`;

function goesOn(next: FineTune, { step, hyperparameters }: GoBack): string {
  const where = step === 0 ? "from its start" : `from its checkpoint at step ${step}`;
  return `The run ${named(next)} goes on ${where}, with learning rate ${hyperparameters.learningRate}.`;
}

/** The run that goes back; null if too many did in a row. */
async function goneBack(tx: Transaction, run: FineTune, goBack: GoBack): Promise<FineTune | null> {
  if ((await timesBefore(tx, run)) >= limits.goBacks) return null;
  const { from, hyperparameters } = goBack;
  const { baseModelId, datasetId, validationDatasetId, testDatasetId, labelWords, calibrationPrompt, keepWeights } =
    run;
  const inherited = { baseModelId, datasetId, validationDatasetId, testDatasetId, labelWords, calibrationPrompt };
  const { fineTune } = await create(tx, {
    ...inherited,
    keepWeights,
    tags: run.tags,
    metadata: run.metadata,
    priority: run.priority,
    projectId: run.projectId,
    idempotencyKey: null,
    name: run.name,
    hyperparameters,
    from,
    sweep: run.sweepId !== null && run.sweepPlace !== null ? { id: run.sweepId, place: run.sweepPlace } : null,
  });
  await tx.update(fineTunes).set({ wentBackFrom: run.id }).where(eq(fineTunes.id, fineTune.id));
  await addEvent(tx, run.id, "WENT_BACK", goesOn(fineTune, goBack));
  await addEvent(tx, fineTune.id, "WENT_BACK", `The run ${named(run)} diverged. ${goesOn(fineTune, goBack)}`);
  return fineTune;
}

/** How many runs in a row went back before this one. */
async function timesBefore(tx: Transaction, run: FineTune): Promise<number> {
  let times = 0;
  for (let before = run.wentBackFrom; before !== null && times < limits.goBacks; times++) {
    before = only(await tx.select().from(fineTunes).where(eq(fineTunes.id, before))).wentBackFrom;
  }
  return times;
}
