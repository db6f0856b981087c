/**
 * Connections whose other end is gone without a word: a machine that lost its power, a firewall that forgot them, a cut that
 * outlasts a lease. What was sent is then never answered, and TCP tells after a quarter of an hour.
 *
 * A statement may take long, so none has a time limit. What has waited for `silentMs` is looked after by a connection of its
 * own: is Postgres at work on it? If not, or if Postgres does not answer there either, everything that waits is given up.
 */
import { setTimeout as delay } from "node:timers/promises";
import postgres from "postgres";
import { SteplogError } from "../../schema/errors.ts";
import { leaseMs } from "../../schema/limits.ts";
import { connectionOptions } from "./connection.ts";
import { KeptStatements } from "./kept-statements.ts";
import type { DatabaseAddress } from "./url.ts";

/** Longer than Postgres lets a transaction idle. */
export const usualSilentMs = leaseMs + 2_000;
/**
 * Time is counted in looks, each of which comes after what has arrived: a process that was suspended, or has had no
 * processor, finds its answers before it counts.
 */
const looks = 5;
/** How long the connection that looks may take. */
const patienceMs = 10_000;

/** A statement, or a transaction since its last one. */
interface Wait {
  /** How often it was seen since. */
  seen: number;
  /** Null before it has a connection. */
  pid: () => number | null;
}

export interface Silence {
  /** The same client, watched. */
  readonly client: postgres.Sql;
  /** Rejects when what waits is given up; else as `work` does, whose connection may never say that it has closed. */
  orLost<Result>(work: Promise<Result>): Promise<Result>;
  /** Gives up what waits. */
  end(): void;
}

interface SilenceOptions {
  readonly address: DatabaseAddress;
  /** The most that the client opens. */
  readonly connections: number;
  readonly silentMs: number;
  /** Called once, when connections of the client are lost. */
  readonly onLost: () => void;
}

export function watchSilence(client: postgres.Sql, options: SilenceOptions): Silence {
  const { silentMs, onLost } = options;
  const waits = new Set<Wait>();
  const losers = new Set<(error: SteplogError) => void>();
  const over = new AbortController();
  const end = () => {
    over.abort();
    for (const lose of losers) lose(notAnswered(silentMs));
  };
  const look = async () => {
    for (;;) {
      await delay(silentMs / looks, undefined, { signal: over.signal, ref: false });
      for (const wait of waits) wait.seen += 1;
      const silent = [...waits].filter(isSilent);
      if (silent.length === 0) continue;
      const lost = await lostOf(options, silent, waits.size);
      // Some may have been answered meanwhile.
      if (lost.some((wait) => waits.has(wait) && isSilent(wait))) break;
    }
    end();
    onLost();
  };
  look().catch(() => {});
  return {
    client: watched(client, { waits, kept: new KeptStatements() }),
    end,
    async orLost(work) {
      let lose: (error: SteplogError) => void = () => {};
      const lost = new Promise<never>((_, reject) => (lose = reject));
      losers.add(lose);
      return Promise.race([work, lost]).finally(() => losers.delete(lose));
    },
  };
}

const isSilent = ({ seen }: Wait) => seen > looks;

function notAnswered(silentMs: number): SteplogError {
  const message = `Postgres has not answered for ${silentMs / 1_000} seconds. Check that it runs, and the network to it.`;
  return new SteplogError("UNAVAILABLE", message);
}

interface Watching {
  readonly waits: Set<Wait>;
  readonly kept: KeptStatements;
}

function watched<Client extends postgres.ISql>(client: Client, watching: Watching, within?: Wait): Client {
  return new Proxy(client, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key);
      if (key === "unsafe")
        return (...[text, values, options]: Parameters<postgres.Sql["unsafe"]>) => {
          const prepare = watching.kept.use(text);
          return noted(target.unsafe(text, values, { ...options, prepare }), watching.waits, within);
        };
      if (key === "begin") return (work: Work) => begin(target as unknown as postgres.Sql, work, watching);
      return member;
    },
  });
}

type Work = (tx: postgres.TransactionSql) => Promise<unknown>;

/** With the statements that begin and end it, which nobody else sees. */
async function begin(client: postgres.Sql, work: Work, watching: Watching): Promise<unknown> {
  const { waits } = watching;
  const wait: Wait = { seen: 0, pid: () => null };
  waits.add(wait);
  try {
    return await client.begin((tx) => work(watched(tx, watching, wait)));
  } finally {
    waits.delete(wait);
  }
}

/** What postgres.js keeps in a query that was sent. */
interface SentQuery {
  readonly state?: { readonly pid: number | null } | null;
}

function noted<Query extends PromiseLike<unknown>>(query: Query, waits: Set<Wait>, within?: Wait): Query {
  const pid = () => (query as SentQuery).state?.pid ?? null;
  const wait = within ?? { seen: 0, pid };
  Object.assign(wait, { seen: 0, pid });
  waits.add(wait);
  const settle = () => {
    wait.seen = 0;
    if (!within) waits.delete(wait);
  };
  query.then(settle, settle);
  return query;
}

async function lostOf(
  { address, connections }: SilenceOptions,
  silent: readonly Wait[],
  waiting: number,
): Promise<readonly Wait[]> {
  const withPids = silent.map((wait) => ({ wait, pid: wait.pid() }));
  const active = await activeOf(
    address,
    withPids.flatMap(({ pid }) => pid ?? []),
  );
  if (active === "silent") return silent;
  // A pooler gives ids of its own.
  if (address.pooled || active === "unknown") return [];
  // While there are connections for all, one that has none was lost as it began.
  const lost = withPids.filter(({ pid }) => (pid === null ? waiting < connections : !active.has(pid)));
  return lost.map(({ wait }) => wait);
}

/** Those at which Postgres is at work, and does not wait for us. "unknown" when it answers with an error. */
async function activeOf(
  address: DatabaseAddress,
  pids: readonly number[],
): Promise<Set<number> | "silent" | "unknown"> {
  const client = postgres({ ...connectionOptions(address), max: 1, connect_timeout: patienceMs / 1_000 });
  const asked = client`
    select pid from pg_stat_activity where pid in (select value::int from jsonb_array_elements_text(${JSON.stringify(pids)}::text::jsonb))
      and state = 'active' and wait_event_type is distinct from 'Client'`;
  const late = (async () => {
    for (let look = 0; look < looks; look++) await delay(patienceMs / looks, undefined, { ref: false });
    return "silent" as const;
  })();
  try {
    const rows = await Promise.race([asked, late]);
    return rows === "silent" ? rows : new Set(rows.map((row) => Number(row["pid"])));
  } catch (error) {
    return error instanceof postgres.PostgresError ? "unknown" : "silent";
  } finally {
    client.end({ timeout: 0 }).catch(() => {});
  }
}
