/** The connection pool, and the few things that every file of store/ says to it. */
import { type NodePgDatabase, drizzle } from "drizzle-orm/node-postgres";
import { type ClientConfig, Pool as Connections } from "pg";
import { leaseMs } from "../schema/limits.ts";

export type Executor = Omit<NodePgDatabase, "transaction">;
/** Statements on one connection between its begin and its commit. */
export type Transaction = Executor;
export type Database = Executor & {
  transaction<Result>(work: (tx: Transaction) => Promise<Result>): Promise<Result>;
};

/**
 * A worker that freezes, or whose machine is gone, in the middle of a transaction would hold its job's row for ever,
 * and SKIP LOCKED would pass that job by. So Postgres ends a transaction that idles for a lease.
 */
export function connectionOptions(databaseUrl: string): ClientConfig {
  return {
    connectionString: databaseUrl,
    application_name: "steplog",
    idle_in_transaction_session_timeout: leaseMs,
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
  };
}

export function openPool(databaseUrl: string): { database: Database; close(): Promise<void> } {
  const connections = new Connections({ ...connectionOptions(databaseUrl), max: 10 });
  // A connection that is lost says so to its query, or at its next one; without a listener it would end the process.
  connections.on("error", () => {});
  connections.on("connect", (client) => client.on("error", () => {}));
  const transaction = <Result>(work: (tx: Transaction) => Promise<Result>) => inTransaction(connections, work);
  return { database: Object.assign(drizzle(connections), { transaction }), close: () => connections.end() };
}

/** In place of drizzle's own, which never gives a connection back to the pool when its begin fails. */
async function inTransaction<Result>(
  connections: Connections,
  work: (tx: Transaction) => Promise<Result>,
): Promise<Result> {
  const connection = await connections.connect();
  try {
    await connection.query("begin");
    const result = await work(drizzle(connection));
    await connection.query("commit");
    connection.release();
    return result;
  } catch (error) {
    const whole = await connection.query("rollback").then(
      () => true,
      () => false,
    );
    connection.release(!whole);
    throw error;
  }
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
