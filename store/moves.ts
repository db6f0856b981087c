/**
 * Moves: the only changes of a status, of whatever has one and a job. The row is locked, the move is checked against schema/,
 * written and told, all in the caller's transaction, after the caller has locked the job.
 */
import { invariant } from "../schema/errors.ts";
import { type Transaction, isUuid, only } from "./postgres/database.ts";
import { wakeWatchers } from "./postgres/notify.ts";

interface Row<Status extends string> {
  readonly id: string;
  readonly status: Status;
}

/** How rows of a kind live. */
export interface Life<Status extends string, Its extends Row<Status>, Step extends { readonly to: Status }> {
  readonly noun: string;
  /** What each status may become. */
  readonly transitions: Readonly<Record<Status, readonly Status[]>>;
  /** Locks the row against everything else that moves it. */
  lock(tx: Transaction, id: string): Promise<Its[]>;
  write(tx: Transaction, id: string, step: Step): Promise<Its[]>;
  /** What else is written of every move. */
  note?(tx: Transaction, id: string, step: Step): Promise<void>;
  /** Tells others of a new status. */
  announce?(tx: Transaction, moved: Its): Promise<void>;
}

/** The row, locked; null if there is none. */
export async function lockRow<Status extends string, Its extends Row<Status>, Step extends { readonly to: Status }>(
  tx: Transaction,
  life: Life<Status, Its, Step>,
  id: string,
): Promise<Its | null> {
  const [row] = isUuid(id) ? await life.lock(tx, id) : [];
  return row ?? null;
}

/** Makes the move that `decide` chooses for the locked row; none when that is null. Null for a row that is not there. */
export async function moveRow<Status extends string, Its extends Row<Status>, Step extends { readonly to: Status }>(
  tx: Transaction,
  life: Life<Status, Its, Step>,
  id: string,
  decide: (row: Its) => Step | null,
): Promise<Its | null> {
  const row = await lockRow(tx, life, id);
  const step = row && decide(row);
  return row && step ? moveLocked(tx, life, row, step) : row;
}

/** The move of a row that the transaction has locked. */
export async function moveLocked<Status extends string, Its extends Row<Status>, Step extends { readonly to: Status }>(
  tx: Transaction,
  life: Life<Status, Its, Step>,
  row: Its,
  step: Step,
): Promise<Its> {
  const allowed = life.transitions[row.status].includes(step.to);
  invariant(allowed, `${life.noun} ${row.id} is ${row.status} and cannot become ${step.to}`);
  // Sent together: what a transaction takes is mostly its ways to Postgres and back.
  const [rows] = await Promise.all([
    life.write(tx, row.id, step),
    life.note?.(tx, row.id, step),
    wakeWatchers(tx, row.id),
  ]);
  const moved = only(rows);
  if (moved.status !== row.status) await life.announce?.(tx, moved);
  return moved;
}
