/** Base models: what workers have registered. A name keeps its weights for as long as a fine-tune needs them. */
import { type SQL, and, count, desc, eq, inArray } from "drizzle-orm";
import { SteplogError } from "../../schema/errors.ts";
import { counted } from "../../schema/units.ts";
import { limits } from "../../schema/limits.ts";
import type { PartNames } from "../../schema/name-patterns.ts";
import { type BaseModel, type FineTune, baseModels, fineTunes, foundModels } from "../../schema/tables.ts";
import { type Page, countOf, pageOf } from "../pages.ts";
import { type Database, type Transaction, inOrderOf, only } from "../postgres/database.ts";
import { defaultProjectId } from "../../schema/projects.ts";
import { audit } from "../audit/audit.ts";
import { type UsesOf, usesOfModels } from "../uses.ts";
import { forgetServing } from "./forget-serving.ts";
import { type Parts, keepParts, partsOf } from "./part-names.ts";

export interface NewBaseModel {
  readonly name: string;
  readonly hash: string;
  readonly family: string;
  readonly dtype: string;
  readonly parameters: number;
  readonly bytes: number;
  readonly contextLength: number;
  readonly parts?: PartNames & Partial<Parts>;
}

export interface BaseModels {
  /** Inserts or updates by name; the found model of that name is deleted. @throws CONFLICT when a fine-tune needs another hash */
  register(model: NewBaseModel): Promise<BaseModel>;
  /** Deletes a base model or found model; an unknown name is ignored. @throws CONFLICT, with names, while fine-tunes or aliases need it */
  unregister(name: string): Promise<void>;
  get(id: string): Promise<BaseModel | null>;
  getByName(name: string): Promise<BaseModel | null>;
  /** Null for a model that an earlier release registered. */
  parts(id: string): Promise<Parts | null>;
  list(page: Page): Promise<BaseModel[]>;
  count(): Promise<number>;
  readonly uses: UsesOf;
  /** In the order of the ids, null for unknown ones: what a DataLoader needs. */
  byIds(ids: readonly string[]): Promise<(BaseModel | null)[]>;
}

const keys = { table: baseModels, of: undefined, sort: baseModels.createdAt, id: baseModels.id };

export function baseModelsOf(database: Database): BaseModels {
  const byIds = (ids: readonly string[]) =>
    inOrderOf(ids, (wanted) => database.select().from(baseModels).where(inArray(baseModels.id, wanted)));
  return {
    byIds,
    register: (model) => database.transaction((tx) => register(tx, model)),
    unregister: (name) => database.transaction((tx) => unregister(tx, name)),
    get: async (id) => (await byIds([id]))[0] ?? null,
    async getByName(name) {
      const [model] = await database.select().from(baseModels).where(eq(baseModels.name, name));
      return model ?? null;
    },
    parts: (id) => partsOf(database, id),
    uses: usesOfModels(database),
    count: () => countOf(database, baseModels, undefined),
    async list(page) {
      const { where, order } = await pageOf(database, keys, page);
      return database
        .select()
        .from(baseModels)
        .where(and(...where))
        .orderBy(...order)
        .limit(page.limit);
    },
  };
}

async function register(tx: Transaction, { parts, ...model }: NewBaseModel): Promise<BaseModel> {
  await tx.insert(baseModels).values(model).onConflictDoNothing({ target: baseModels.name });
  // The lock excludes a create that is about to refer to this row, so the check of fine_tunes below stays true.
  const known = only(await tx.select().from(baseModels).where(eq(baseModels.name, model.name)).for("update"));
  if (known.hash !== model.hash) await refuseIfUsed(tx, known, model.hash);
  await tx.delete(foundModels).where(eq(foundModels.name, model.name));
  if (parts) await keepParts(tx, known.id, model.hash, parts);
  return only(await tx.update(baseModels).set(model).where(eq(baseModels.id, known.id)).returning());
}

async function unregister(tx: Transaction, name: string): Promise<void> {
  await tx.delete(foundModels).where(eq(foundModels.name, name));
  const [known] = await tx.select().from(baseModels).where(eq(baseModels.name, name)).for("update");
  if (!known) return;
  const mine = eq(fineTunes.baseModelId, known.id);
  const [users] = await tx.select({ count: count() }).from(fineTunes).where(mine);
  if (users && users.count > 0) throw stillNeeded(name, users.count, await newestNames(tx, mine));
  await forgetServing(tx, known);
  await tx.delete(baseModels).where(eq(baseModels.id, known.id));
  await audit(tx, { projectId: defaultProjectId, action: "model.deleted", object: known });
}

function newestNames(tx: Transaction, where: SQL) {
  const columns = { name: fineTunes.name, status: fineTunes.status, createdAt: fineTunes.createdAt };
  return tx
    .select(columns)
    .from(fineTunes)
    .where(where)
    .orderBy(desc(fineTunes.createdAt))
    .limit(limits.issuesReported);
}

function stillNeeded(
  name: string,
  users: number,
  newest: readonly Pick<FineTune, "name" | "status" | "createdAt">[],
): SteplogError {
  return new SteplogError(
    "CONFLICT",
    `The base model "${name}" is needed by ${counted(users, "fine-tune")}, whose logs cannot be rebuilt without it. Keep it.`,
    newest.map((run) => ({ field: run.name, message: `${run.status}, created ${run.createdAt.toISOString()}` })),
  );
}

async function refuseIfUsed(tx: Transaction, known: BaseModel, hash: string): Promise<void> {
  const [user] = await tx
    .select({ id: fineTunes.id })
    .from(fineTunes)
    .where(eq(fineTunes.baseModelId, known.id))
    .limit(1);
  if (!user) return;
  throw new SteplogError(
    "CONFLICT",
    `The base model "${known.name}" now has other weights (${hash.slice(0, 12)}) than the registered ones ` +
      `(${known.hash.slice(0, 12)}), which fine-tunes need. Add the new weights under another name.`,
  );
}
