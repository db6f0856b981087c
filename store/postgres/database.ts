/** The connection pool, and helpers that every file of store/ uses. */
import { sql } from "drizzle-orm";
import { type PostgresJsDatabase, drizzle } from "drizzle-orm/postgres-js";
import postgres from "postgres";
import { SteplogError } from "../../schema/errors.ts";
import { type Tracing, inSpan } from "../../schema/tracing.ts";
import { connectionOptions, idleTransactionMs } from "./connection.ts";
import { isOfStatement, isUnavailable } from "./failures.ts";
import { type Silence, usualSilentMs, watchSilence } from "./silence.ts";
import type { DatabaseAddress } from "./url.ts";

export type Database = PostgresJsDatabase;
export type Transaction = Parameters<Parameters<Database["transaction"]>[0]>[0];
export type Executor = Database | Transaction;

export const usualConnections = 10;

/** Transactions that hold a connection, and that wait for one. postgres.js does not tell of single queries. */
export interface PoolUse {
  readonly connections: number;
  readonly open: number;
  readonly waiting: number;
}

export interface Pool {
  readonly database: Database;
  use(): PoolUse;
  close(): Promise<void>;
}

interface Watched {
  readonly client: postgres.Sql;
  readonly silence: Silence;
  readonly database: Database;
}

/**
 * A pool that is replaced whenever one of its connections ends. A connection of postgres.js (3.4) that is lost in the middle
 * of a result and opened again continues to count rows, so the next result would start with holes.
 *
 * @param tracing of transactions; null for none
 */
export function openPool(
  address: DatabaseAddress,
  connections = usualConnections,
  tracing: Tracing | null = null,
  silentMs = usualSilentMs,
): Pool {
  let closing = false;
  const retiring = new Set<Promise<void>>();
  const retire = ({ client, silence }: Watched): void => {
    const ended = client.end({ timeout: 5 }).catch(() => {});
    retiring.add(ended);
    void ended.then(() => {
      silence.end();
      retiring.delete(ended);
    });
  };
  const open = (): Watched => {
    const onclose = (): void => {
      if (closing || current.client !== client) return;
      setImmediate(retire, current);
      current = open();
    };
    const client = postgres({ ...connectionOptions(address), max: connections, onclose });
    // Its sockets may never close, so nothing is waited for.
    const onLost = () => {
      if (current.client === client) current = open();
      void client.end({ timeout: 0 }).catch(() => {});
    };
    const silence = watchSilence(client, { address, connections, silentMs, onLost });
    return { client, silence, database: drizzle(silence.client) };
  };
  let current = open();
  const use = new Transactions();
  const transaction: Database["transaction"] = (work, config) =>
    use.counted((opened) => {
      const { database: its, silence } = current;
      const done = its.transaction((tx) => {
        opened();
        return begun(tx, address)
          .then(() => work(tx))
          .catch(silentWhenLost);
      }, config);
      return silence.orLost(done);
    });
  const traced = tracing ? tracedBy(tracing, transaction) : transaction;
  const database = new Proxy(current.database, {
    get: (_, key): unknown => (key === "transaction" ? traced : Reflect.get(current.database, key)),
  });
  return {
    database,
    use: () => ({ connections, open: use.open, waiting: use.waiting }),
    async close() {
      closing = true;
      await Promise.all([current.client.end({ timeout: 5 }), ...retiring]);
      current.silence.end();
    },
  };
}

class Transactions {
  open = 0;
  waiting = 0;

  async counted<Result>(begin: (opened: () => void) => Promise<Result>): Promise<Result> {
    let state: "waiting" | "open" | "over" = "waiting";
    this.waiting += 1;
    try {
      return await begin(() => {
        // One that was given up may still begin.
        if (state !== "waiting") return;
        state = "open";
        this.waiting -= 1;
        this.open += 1;
      });
    } finally {
      if (isOpen(state)) this.open -= 1;
      else this.waiting -= 1;
      state = "over";
    }
  }
}

/** Another function has changed it, which TypeScript does not see. */
const isOpen = (state: string) => state === "open";

/** By which the jobs that a transaction adds go on with its trace. */
const traces = new WeakMap<Executor, string>();

export function traceOf(tx: Transaction): string | null {
  return traces.get(tx) ?? null;
}

/** A span for each transaction within another span. */
function tracedBy(tracing: Tracing, transaction: Database["transaction"]): Database["transaction"] {
  const attributes = { "db.system.name": "postgresql" };
  return (work, config) => {
    if (tracing.current() === null) return transaction(work, config);
    return inSpan(tracing, "transaction", { attributes }, ({ traceparent }) =>
      transaction((tx) => {
        traces.set(tx, traceparent);
        return work(tx);
      }, config),
    );
  };
}

/** A pooler does not keep the settings of a session, so each transaction sets its own limit. */
async function begun(tx: Transaction, { pooled }: DatabaseAddress): Promise<void> {
  if (pooled) await tx.execute(sql.raw(`set local idle_in_transaction_session_timeout = ${idleTransactionMs}`));
}

/**
 * postgres.js rejects a transaction as soon as its socket closes. But if the work in it fails first, with the error that
 * announces the loss, postgres.js (3.4) sends a rollback to the closed socket, and the resulting TypeError ends the process.
 * So such work never settles: nobody waits for it any more. What the work itself refuses is no such loss.
 */
async function silentWhenLost(error: unknown): Promise<never> {
  const isOurs = error instanceof SteplogError;
  if (!isOurs && isUnavailable(error) && !isOfStatement(error)) await new Promise<never>(() => {});
  throw error;
}

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/iu;

/** Postgres rejects a malformed uuid with an error; for a lookup it is just an unknown id. */
export function isUuid(id: string): boolean {
  return uuidPattern.test(id);
}

/** The row of a statement that always returns exactly one. */
export function only<Row>(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined || rows.length > 1) throw new Error(`Expected one row, got ${rows.length}.`);
  return row;
}

/** Rows in the order of the ids, null for unknown ones. */
export async function inOrderOf<Row extends { id: string }>(
  ids: readonly string[],
  read: (ids: string[]) => Promise<Row[]>,
): Promise<(Row | null)[]> {
  const wanted = ids.filter(isUuid);
  const rows = new Map(wanted.length === 0 ? [] : (await read(wanted)).map((row) => [row.id, row]));
  return ids.map((id) => rows.get(id.toLowerCase()) ?? null);
}
