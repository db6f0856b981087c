/**
 * What a project sees: its own rows, and datasets and checkpoints that others share with it. A row never changes its project, so
 * what was found to be the project's own is remembered; what is shared may cease to be, so that is not.
 */
import { and, eq, inArray } from "drizzle-orm";
import { SteplogError } from "../../schema/errors.ts";
import { type SharedKind, type Viewer, isOperator } from "../../schema/projects.ts";
import { type Checkpoint, type Dataset, checkpoints, datasets, fineTunes } from "../../schema/tables.ts";
import { type Database, isUuid } from "../postgres/database.ts";
import { translated } from "../postgres/failures.ts";
import { sharedOf } from "./shared.ts";

interface Owned {
  readonly projectId: string;
}

export interface Sight {
  /** The row if it is the project's own. */
  own<Row extends Owned>(row: Row | null): Row | null;
  /** Whether a run is the project's own. */
  run(id: string): Promise<boolean>;
  /** Those that are, and maybe others of its own. */
  runs(ids: readonly string[]): Promise<ReadonlySet<string>>;
  dataset(row: Dataset | null): Promise<Dataset | null>;
  datasets(rows: readonly (Dataset | null)[]): Promise<(Dataset | null)[]>;
  checkpoint(row: Checkpoint | null): Promise<Checkpoint | null>;
  checkpoints(rows: readonly (Checkpoint | null)[]): Promise<(Checkpoint | null)[]>;
  hasCheckpoint(id: string): Promise<boolean>;
  /** Whether it is the project's own, not only shared with it. */
  owns(kind: SharedKind, id: string): Promise<boolean>;
  /** @throws NOT_FOUND */
  requireRun(id: string): Promise<void>;
  /** @throws NOT_FOUND */
  requireDataset(id: string): Promise<void>;
  /** @throws NOT_FOUND */
  requireCheckpoint(id: string): Promise<void>;
}

export function notThere(noun: string, id: string): SteplogError {
  return new SteplogError("NOT_FOUND", `There is no ${noun} ${JSON.stringify(id)}.`);
}

/** The project, if the viewer may act for it: its own, or for an operator any. @throws NOT_FOUND */
export function projectFor(viewer: Viewer, id: string): string {
  if (id === viewer.projectId || (isOperator(viewer) && isUuid(id))) return id;
  throw notThere("project", id);
}

export function sightOf(database: Database, projectId: string): Sight {
  const ownRuns = new Set<string>();
  const own = <Row extends Owned>(row: Row | null) => (row?.projectId === projectId ? row : null);

  async function runs(ids: readonly string[]): Promise<ReadonlySet<string>> {
    const asked = [...new Set(ids)].filter((id) => isUuid(id) && !ownRuns.has(id));
    if (asked.length > 0) {
      const mine = and(inArray(fineTunes.id, asked), eq(fineTunes.projectId, projectId));
      for (const { id } of await database.select({ id: fineTunes.id }).from(fineTunes).where(mine)) ownRuns.add(id);
    }
    return ownRuns;
  }

  /** The rows that are the project's own, or shared with it. */
  async function visible<Row extends { readonly id: string }>(
    rows: readonly (Row | null)[],
    kind: SharedKind,
    isOwn: (row: Row) => boolean,
  ): Promise<(Row | null)[]> {
    const others = rows.flatMap((row) => (row && !isOwn(row) ? [row.id] : []));
    const shared = await sharedOf(database, { projectId, kind, ids: others });
    return rows.map((row) => (row && (isOwn(row) || shared.has(row.id)) ? row : null));
  }

  const sight: Sight = {
    own,
    run: async (id) => (await runs([id])).has(id),
    runs,
    datasets: (rows) => visible(rows, "DATASET", (row) => own(row) !== null),
    dataset: async (row) => (await sight.datasets([row]))[0] ?? null,
    async checkpoints(rows) {
      const mine = await runs(rows.flatMap((row) => (row ? [row.fineTuneId] : [])));
      return visible(rows, "CHECKPOINT", (row) => mine.has(row.fineTuneId));
    },
    checkpoint: async (row) => (await sight.checkpoints([row]))[0] ?? null,
    async hasCheckpoint(id) {
      const [row] = isUuid(id) ? await database.select().from(checkpoints).where(eq(checkpoints.id, id)) : [];
      return (await sight.checkpoint(row ?? null)) !== null;
    },
    async owns(kind, id) {
      if (!isUuid(id)) return false;
      if (kind === "DATASET") {
        const mine = and(eq(datasets.id, id), eq(datasets.projectId, projectId));
        return (await database.select({ id: datasets.id }).from(datasets).where(mine)).length > 0;
      }
      const [row] = await database.select().from(checkpoints).where(eq(checkpoints.id, id));
      return row !== undefined && sight.run(row.fineTuneId);
    },
    async requireRun(id) {
      if (!(await sight.run(id))) throw notThere("fine-tune", id);
    },
    async requireDataset(id) {
      const [row] = isUuid(id) ? await database.select().from(datasets).where(eq(datasets.id, id)) : [];
      if (!(await sight.dataset(row ?? null))) throw notThere("dataset", id);
    },
    async requireCheckpoint(id) {
      if (!(await sight.hasCheckpoint(id))) throw notThere("checkpoint", id);
    },
  };
  return translated(sight);
}
