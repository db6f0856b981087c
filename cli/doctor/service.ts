/** What doctor asks of others: Postgres and a running service, with their versions and clocks. */
import { SteplogClient } from "../../client/index.ts";
import { type ErrorCode, type SteplogError, asSteplogError } from "../../schema/errors.ts";
import { version } from "../../schema/package.ts";
import { counted, formatDuration } from "../../schema/units.ts";
import { databaseHealth, type DatabaseHealth, embeddedVersion } from "../../store/store.ts";
import { readVariable } from "../environment.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

interface DatabaseAddress {
  readonly databaseUrl: string | null;
  readonly directUrl: string | undefined;
}

export async function postgres({ databaseUrl, directUrl }: DatabaseAddress): Promise<readonly Finding[]> {
  if (databaseUrl === null) return [await ownPostgres()];
  try {
    const health = await databaseHealth(databaseUrl, directUrl);
    return [ok("postgres", `Postgres ${health.version} answers`), migrations(health), clock("the database", health)];
  } catch (error) {
    const { message } = asSteplogError(error);
    return [fail("postgres", message, "Start it, or correct DATABASE_URL; leave it out to use steplog start's own.")];
  }
}

async function ownPostgres(): Promise<Finding> {
  try {
    const own = `steplog start runs Postgres ${await embeddedVersion()} of its own`;
    return ok("postgres", `DATABASE_URL is not set: ${own}`);
  } catch (error) {
    return fail("postgres", asSteplogError(error).message, "Install the package anew with npm, or set DATABASE_URL.");
  }
}

export function migrations({ applied, known }: Pick<DatabaseHealth, "applied" | "known">): Finding {
  if (applied === known) return ok("tables", `up to date (${counted(known, "migration")})`);
  const mend =
    applied < known
      ? "Run steplog migrate; gateways and workers do so when they start."
      : "Install the newer release here.";
  const which = applied < known ? "older" : "newer";
  return warn("tables", `The tables are ${which} than this Steplog: ${applied} of ${known} migrations.`, mend);
}

/** Beyond this, what a worker and the gateway say of times is confusing. */
const mostApartMs = 2_000;

type Clock = Pick<DatabaseHealth, "now" | "askedMs">;

/** @param whose such as "the database" */
export function clock(whose: string, { now, askedMs }: Clock, here = Date.now()): Finding {
  const apart = Math.abs(here - now.getTime());
  if (apart <= mostApartMs + askedMs) return ok("clocks", `this machine's and that of ${whose} agree`);
  const way = here > now.getTime() ? "ahead of" : "behind";
  const mend = "Have both set by NTP, as by chrony or systemd-timesyncd.";
  return warn("clocks", `This machine's clock is ${formatDuration(apart / 1_000)} ${way} that of ${whose}.`, mend);
}

export interface ServiceFound {
  /** Whether a Steplog answers there, whatever it thinks of the key. */
  readonly isThere: boolean;
  readonly findings: readonly Finding[];
}

export async function service(url: string): Promise<ServiceFound> {
  const token = readVariable("STEPLOG_API_TOKEN");
  try {
    const client = new SteplogClient({ url, token, rateLimitPatienceMs: 0 });
    const { service: found } = await client.query<{ service: { version: string } }>("{ service { version } }");
    return { isThere: true, findings: [release(url, found.version), ...(await clockOf(url))] };
  } catch (error) {
    return notTold(url, asSteplogError(error));
  }
}

/** What is wrong where it does not tell its release. */
async function notTold(url: string, { code, message }: SteplogError): Promise<ServiceFound> {
  const refused = refusals[code];
  if (!refused) {
    const mend = "Start one: steplog start; or give its address: --url, STEPLOG_URL";
    return { isThere: false, findings: [warn("service", message, mend)] };
  }
  const { why, mend } = refused;
  const finding = warn("service", `A Steplog answers at ${url}, and refuses ${why}`, mend);
  return { isThere: true, findings: [finding, ...(await clockOf(url))] };
}

/** What a Steplog alone says. */
const refusals: Readonly<Partial<Record<ErrorCode, { readonly why: string; readonly mend: string }>>> = {
  UNAUTHENTICATED: { why: "the key.", mend: "Set STEPLOG_API_TOKEN to a key: steplog keys create" },
  RATE_LIMITED: { why: "more requests in this minute.", mend: "Look again in a minute: steplog doctor" },
};

function release(url: string, found: string): Finding {
  if (found === version) return ok("service", `Steplog ${version} answers at ${url}`);
  const message = `Steplog ${found} answers at ${url}; this command is of ${version}.`;
  return warn("service", message, "Use commands of the service's release: npm install steplog@VERSION");
}

/** By the header of an answer, which has whole seconds. Nothing where a proxy leaves it out. */
async function clockOf(url: string): Promise<readonly Finding[]> {
  const before = performance.now();
  const answer = await fetch(new URL("healthz", url.endsWith("/") ? url : `${url}/`)).catch(() => null);
  const date = Date.parse(answer?.headers.get("date") ?? "");
  if (Number.isNaN(date)) return [];
  return [clock("the service", { now: new Date(date), askedMs: 1_000 + performance.now() - before })];
}
