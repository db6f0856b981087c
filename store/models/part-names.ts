/** What workers have said of a base model's parts. They hold for one hash only: see schema/tables.ts. */
import { and, eq } from "drizzle-orm";
import type { PartNames } from "../../schema/name-patterns.ts";
import { baseModelNames, baseModels } from "../../schema/tables.ts";
import type { AdapterShapes } from "../../schema/adapter-size.ts";
import { type Database, type Transaction } from "../postgres/database.ts";

export interface Parts extends PartNames {
  /** Null for a model that an earlier release registered. */
  readonly adapters: AdapterShapes | null;
}

/** Null for a model that an earlier release registered. */
export async function partsOf(database: Database | Transaction, baseModelId: string): Promise<Parts | null> {
  const sameHash = and(eq(baseModels.id, baseModelNames.baseModelId), eq(baseModels.hash, baseModelNames.hash));
  const [found] = await database
    .select({
      hash: baseModelNames.hash,
      tensors: baseModelNames.tensors,
      layers: baseModelNames.layers,
      shapes: baseModelNames.adapters,
    })
    .from(baseModelNames)
    .innerJoin(baseModels, sameHash)
    .where(eq(baseModels.id, baseModelId));
  if (!found) return null;
  const { hash, tensors, layers, shapes } = found;
  const adapters = shapes?.hash === hash ? { layers: shapes.layers, prefix: shapes.prefix } : null;
  return { tensors, layers, adapters };
}

/** Stores them for a hash. */
export async function keepParts(tx: Transaction, baseModelId: string, hash: string, parts: PartNames & Partial<Parts>) {
  const { tensors, layers, adapters = null } = parts;
  const row = { hash, tensors, layers, adapters: adapters && { hash, ...adapters } };
  const target = baseModelNames.baseModelId;
  await tx
    .insert(baseModelNames)
    .values({ baseModelId, ...row })
    .onConflictDoUpdate({ target, set: row });
}
