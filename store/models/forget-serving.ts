/** A base model that goes: what it has answered, and its evaluations, go with it, but not while a name points at it. */
import { and, asc, eq, inArray, sql } from "drizzle-orm";
import { SteplogError } from "../../schema/errors.ts";
import { limits } from "../../schema/limits.ts";
import { aliasMoves, aliases, completions, modelEvaluations } from "../../schema/serving-tables.ts";
import { type BaseModel, jobs } from "../../schema/tables.ts";
import type { Transaction } from "../postgres/database.ts";

/** @throws CONFLICT, with names, while aliases point at the model */
export async function forgetServing(tx: Transaction, { id, name }: BaseModel): Promise<void> {
  const pointing = await tx
    .select({ name: aliases.name })
    .from(aliases)
    .where(eq(aliases.baseModelId, id))
    .limit(limits.issuesReported);
  if (pointing.length > 0) {
    const message = `Aliases point at the base model "${name}". Point them elsewhere or remove them.`;
    throw new SteplogError(
      "CONFLICT",
      message,
      pointing.map((alias) => ({ field: alias.name, message: "points at it" })),
    );
  }
  await tx.delete(aliasMoves).where(eq(aliasMoves.baseModelId, id));
  for (const table of [completions, modelEvaluations]) {
    const ofModel = sql`(select ${table.id}::text from ${table} where ${table.baseModelId} = ${id})`;
    const about = and(inArray(jobs.kind, ["COMPLETE", "EVALUATE"]), inArray(jobs.subject, ofModel));
    // In the order in which appends lock them.
    await tx.select({ id: jobs.id }).from(jobs).where(about).orderBy(asc(jobs.id)).for("update");
    await tx.delete(jobs).where(about);
    await tx.delete(table).where(eq(table.baseModelId, id));
  }
}
