/** Translates errors of Postgres and the network into the codes of schema/errors.ts, once, where they leave the store. */
import { SteplogError } from "../../schema/errors.ts";

export function wordsOf(text: string): string[] {
  return text.trim().split(/\s+/u);
}

/** Node's codes for a connection that could not be made or was lost. */
const networkCodes = ["ECONNREFUSED", "ECONNRESET", "ENOTFOUND", "EAI_AGAIN", "EPIPE", "ETIMEDOUT", "EHOSTUNREACH"];
/**
 * Postgres': admin shutdown, crash shutdown, cannot connect now, too many connections, disk full, out of memory,
 * idle-in-transaction timeout, read-only (a standby), and what a password or a database that changed meanwhile gives.
 */
const postgresCodes = wordsOf(`
  57P01 57P02 57P03 53300 53100 53200 25P03 25006 28000 28P01 3D000 08000 08001 08003 08004 08006
`);
/** postgres.js': a connection that ended during a query or could not be opened. */
const driverCodes = ["CONNECTION_CLOSED", "CONNECTION_ENDED", "CONNECTION_DESTROYED", "CONNECT_TIMEOUT"];
/** Postgres gave up a statement, as the same one may not be: a deadlock, a serialization, a lock's or a statement's time limit. */
const givenUp = new Set(wordsOf("40P01 40001 55P03 57014"));
/** OpenSSL's, as Node names them: a certificate that is not trusted, is for another host or is out of date. */
export const certificateCodes = wordsOf(`
  CERT_HAS_EXPIRED CERT_NOT_YET_VALID DEPTH_ZERO_SELF_SIGNED_CERT ERR_TLS_CERT_ALTNAME_INVALID
  SELF_SIGNED_CERT_IN_CHAIN UNABLE_TO_GET_ISSUER_CERT UNABLE_TO_GET_ISSUER_CERT_LOCALLY
  UNABLE_TO_VERIFY_LEAF_SIGNATURE
`);
const unavailable = new Set([...networkCodes, ...postgresCodes, ...driverCodes, ...certificateCodes]);

/** Postgres answers, and cannot store. */
const diskFull = "53100";

/** U+0000 in text or jsonb: the only character that Postgres cannot store. */
const unstorableText = new Set(["22021", "22P05"]);

/** `error` as a SteplogError if it has one of these codes; else unchanged. */
export function asStoreError(error: unknown): unknown {
  if (error instanceof SteplogError) return error;
  const { code, reason } = causeOf(error);
  if (unstorableText.has(code)) {
    return new SteplogError("INVALID_ARGUMENT", "Text must not contain the character U+0000.", [], { cause: error });
  }
  if (givenUp.has(code))
    return new SteplogError("UNAVAILABLE", `Postgres gave up a statement (${reason}). Try again.`, [], {
      cause: error,
    });
  if (!unavailable.has(code)) return error;
  const full = "Postgres has no room left on its disk";
  if (code === diskFull)
    return new SteplogError("UNAVAILABLE", `${full} (${reason}). Free some.`, [], { cause: error });
  const message = `Postgres does not answer (${reason}). Check that it runs and that DATABASE_URL points to it.`;
  return new SteplogError("UNAVAILABLE", message, [], { cause: error });
}

export function isUnavailable(error: unknown): boolean {
  const known = asStoreError(error);
  return known instanceof SteplogError && known.code === "UNAVAILABLE";
}

/** Whether the connection goes on: Postgres ended a statement alone. */
export function isOfStatement(error: unknown): boolean {
  return givenUp.has(causeOf(error).code);
}

/** The code of the innermost error; and the reason for people: Postgres' own words with its code, else the code. */
export function causeOf(error: unknown): { code: string; reason: string } {
  const seen = deepest(error);
  const code = seen !== null && "code" in seen ? String(seen.code) : "";
  const isPostgres = seen?.name === "PostgresError";
  return { code, reason: isPostgres ? `${seen.message.replace(/\.$/u, "")}, ${code}` : code };
}

/** Drizzle wraps the error of the driver, and Node those of each address it tried; the innermost is the cause. */
function deepest(error: unknown): Error | null {
  if (!(error instanceof Error)) return null;
  if (error instanceof AggregateError) return deepest(error.errors[0]) ?? error;
  return deepest(error.cause) ?? error;
}

/** The same object; its promises, and the queries that it returns unsent, reject with translated errors. */
export function translated<Group extends object>(group: Group): Group {
  return new Proxy(group, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key);
      if (typeof member !== "function") return member;
      return (...args: unknown[]) => {
        const result: unknown = Reflect.apply(member, target, args);
        return isThenable(result) ? Promise.resolve(result).catch(rethrow) : result;
      };
    },
  });
}

/** A query of drizzle is no Promise, though it has the type of one: it is sent once somebody waits for it. */
function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

function rethrow(error: unknown): never {
  throw asStoreError(error);
}
