/** What stands on checkpoints and would fall with them: runs that continue from one, and aliases that point at one. */
import { and, asc, inArray, ne } from "drizzle-orm";
import { SteplogError } from "../../schema/errors.ts";
import { aliases } from "../../schema/serving-tables.ts";
import { type Checkpoint, type FineTune, fineTunes } from "../../schema/tables.ts";
import type { Transaction } from "../postgres/database.ts";
import { plainName } from "../projects/names.ts";

/** @throws CONFLICT, which names those of the run's project and counts others */
export async function refuseIfHeld(tx: Transaction, run: FineTune, places: readonly Checkpoint[]): Promise<void> {
  const ids = places.map(({ id }) => id);
  const forks = await tx
    .select({ id: fineTunes.id, name: fineTunes.name, projectId: fineTunes.projectId })
    .from(fineTunes)
    .where(and(inArray(fineTunes.fromCheckpointId, ids), ne(fineTunes.id, run.id)))
    .orderBy(asc(fineTunes.createdAt), asc(fineTunes.id));
  const pointing = await tx.select().from(aliases).where(inArray(aliases.checkpointId, ids)).orderBy(asc(aliases.name));
  const held = [
    ...named(
      run.projectId,
      "fine-tune",
      forks.map((fork) => ({ ...fork, label: labelOf(fork) })),
      ["continues from it", "continue from it"],
    ),
    ...named(
      run.projectId,
      "alias",
      pointing.map((one) => ({ ...one, label: quoted(plainName(one.name)) })),
      ["points at it", "point at it"],
    ),
  ];
  if (held.length === 0) return;
  const what = "Delete the fine-tunes and point the aliases elsewhere first";
  throw new SteplogError("CONFLICT", `It is still needed: ${held.join("; ")}. ${what}.`);
}

const quoted = (name: string) => JSON.stringify(name);

/** As messages name an object that has a name and an id. */
export const labelOf = ({ name, id }: { readonly name: string; readonly id: string }) => `${quoted(name)} (${id})`;

interface Holder {
  readonly projectId: string;
  readonly label: string;
}

/** How many a message names. */
const most = 5;

/**
 * In words: the first few, how many more, and how many of other projects, which nobody may name.
 * @param verb what one does, and what several do
 */
export function named(
  projectId: string,
  noun: string,
  holders: readonly Holder[],
  [does, several]: readonly [string, string],
): string[] {
  const own = holders.filter((one) => one.projectId === projectId);
  const others = holders.length - own.length;
  const parts = own.slice(0, most).map(({ label }) => `the ${noun} ${label} ${does}`);
  if (own.length > most) parts.push(`and so do ${own.length - most} more`);
  if (others > 0)
    parts.push(others === 1 ? `another project's ${noun} ${does}` : `${others} of other projects ${several}`);
  return parts;
}
