/** The connection pool, and the few things that every file of store/ says to it. */
import { type PostgresJsDatabase, drizzle } from "drizzle-orm/postgres-js";
import postgres from "postgres";
import { leaseMs } from "../../schema/limits.ts";
import { isUnavailable } from "./failures.ts";

export type Database = PostgresJsDatabase;
export type Transaction = Parameters<Parameters<Database["transaction"]>[0]>[0];
export type Executor = Database | Transaction;

export interface Pool {
  readonly database: Database;
  close(): Promise<void>;
}

/**
 * A worker that freezes, or whose machine is gone, in the middle of a transaction would hold its job's row for ever,
 * and SKIP LOCKED would pass that job by. So Postgres ends a transaction that idles for a lease.
 */
const session = { application_name: "steplog", idle_in_transaction_session_timeout: leaseMs };

/** No fetch_types: nobody hears the error of that first question when its connection ends, and Node ends the process. */
export const connectionOptions = { connection: session, connect_timeout: 10, fetch_types: false, onnotice: () => {} };

/**
 * A pool that begins anew whenever one of its connections ends: a connection of postgres.js (3.4) that is lost within an
 * answer and made again counts its rows on, so that the next answer begins with holes where its rows should be.
 */
export function openPool(databaseUrl: string, connections = 10): Pool {
  let closing = false;
  const retiring = new Set<Promise<void>>();
  const retire = (client: postgres.Sql): void => {
    const ended = client.end({ timeout: 5 }).catch(() => {});
    retiring.add(ended);
    void ended.then(() => retiring.delete(ended));
  };
  const open = () => {
    const onclose = (): void => {
      if (closing || current.client !== client) return;
      current = open();
      setImmediate(retire, client);
    };
    const client = postgres(databaseUrl, { ...connectionOptions, max: connections, onclose });
    return { client, database: drizzle(client) };
  };
  let current = open();
  const transaction: Database["transaction"] = (work, config) =>
    current.database.transaction((tx) => work(tx).catch(silentWhenLost), config);
  const database = new Proxy(current.database, {
    get: (_, key): unknown => (key === "transaction" ? transaction : Reflect.get(current.database, key)),
  });
  return {
    database,
    async close() {
      closing = true;
      await Promise.all([current.client.end({ timeout: 5 }), ...retiring]);
    },
  };
}

/**
 * A transaction whose connection is lost is over: postgres.js rejects it as soon as the socket closes. But if its work
 * fails first, with the error that announces the loss, postgres.js (3.4) sends a rollback into the socket that is gone,
 * and the TypeError of that ends the process. So such work does not fail: nobody waits for it any more.
 */
async function silentWhenLost(error: unknown): Promise<never> {
  if (isUnavailable(error)) await new Promise<never>(() => {});
  throw error;
}

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/iu;

/** Postgres refuses a malformed uuid with an error; for a lookup it is only an id that nothing has. */
export function isUuid(id: string): boolean {
  return uuidPattern.test(id);
}

/** The one row of a statement that cannot answer otherwise. */
export function only<Row>(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined || rows.length > 1) throw new Error(`Expected one row, got ${rows.length}.`);
  return row;
}

/** Rows in the order of the ids, null where there is none. */
export async function inOrderOf<Row extends { id: string }>(
  ids: readonly string[],
  read: (ids: string[]) => Promise<Row[]>,
): Promise<(Row | null)[]> {
  const wanted = ids.filter(isUuid);
  const rows = new Map(wanted.length === 0 ? [] : (await read(wanted)).map((row) => [row.id, row]));
  return ids.map((id) => rows.get(id.toLowerCase()) ?? null);
}
