/** How every connection to Postgres is opened: address, settings of the session, timeouts. */
import type postgres from "postgres";
import { leaseMs } from "../../schema/limits.ts";
import type { DatabaseAddress } from "./url.ts";

/** Names our sessions in pg_stat_activity. */
export const applicationName = "steplog";

/**
 * What we rely on, whatever a database or a role was altered to. bytea as hex and numbers with all their digits are what the
 * driver reads; dates in another style it would not understand. Locks are waited for, and statements run to their end. Those
 * that are kept (kept-statements.ts) are planned for their values and for what the tables hold now, as the others are.
 */
const session = {
  application_name: applicationName,
  bytea_output: "hex",
  DateStyle: "ISO, MDY",
  default_transaction_isolation: "read committed",
  extra_float_digits: "1",
  lock_timeout: "0",
  plan_cache_mode: "force_custom_plan",
  standard_conforming_strings: "on",
  statement_timeout: "0",
  TimeZone: "UTC",
};

/** Parameters of the URL that have no effect, the settings that are ours included. */
export function unusedParameters({ ignored, settings }: DatabaseAddress): string[] {
  const ours = new Set(Object.keys(session).map((name) => name.toLowerCase()));
  const overridden = Object.keys(settings).filter((name) => ours.has(name.toLowerCase()));
  return [...ignored, ...overridden];
}

/** A pooler in transaction mode keeps only these for a client. */
const pooledSession = {
  application_name: session.application_name,
  DateStyle: session.DateStyle,
  standard_conforming_strings: session.standard_conforming_strings,
  TimeZone: session.TimeZone,
};

/** Postgres ends a transaction that is idle for the length of a lease; queue/frozen.ts has the reason, and ends the others. */
export const idleTransactionMs = leaseMs;

/** Settings that a session must have, and a pooler does not set: checked at the start. */
export const requiredSettings: Readonly<Record<string, RegExp>> = {
  bytea_output: /^hex$/u,
  extra_float_digits: /^[1-3]$/u,
};

/** Without fetch_types: nothing catches the error of that first query when its connection ends, and Node would exit. */
export function connectionOptions({
  options,
  settings,
  pooled,
}: DatabaseAddress): postgres.Options<Record<string, never>> {
  return {
    ...(options as object as postgres.Options<Record<string, never>>),
    connection: sessionOf(settings, pooled),
    connect_timeout: 10,
    fetch_types: false,
    prepare: !pooled,
    onnotice: () => {},
  };
}

function sessionOf(settings: Readonly<Record<string, string>>, pooled: boolean): Record<string, string> {
  const ours = pooled ? pooledSession : { ...session, idle_in_transaction_session_timeout: String(idleTransactionMs) };
  return { ...settings, ...ours };
}
