/** What doctor asks of others: Postgres and a running service, with their versions and clocks. */
import { SteplogClient } from "../../client/index.ts";
import { asSteplogError } from "../../schema/errors.ts";
import { version } from "../../schema/package.ts";
import { counted, formatDuration } from "../../schema/units.ts";
import { databaseHealth, type DatabaseHealth } from "../../store/store.ts";
import { readVariable } from "../environment.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

interface DatabaseAddress {
  readonly databaseUrl: string | null;
  readonly directUrl: string | undefined;
}

export async function postgres({ databaseUrl, directUrl }: DatabaseAddress): Promise<readonly Finding[]> {
  if (databaseUrl === null)
    return [ok("postgres", "DATABASE_URL is not set: steplog start runs a Postgres of its own")];
  try {
    const health = await databaseHealth(databaseUrl, directUrl);
    return [ok("postgres", `Postgres ${health.version} answers`), migrations(health), clock(health)];
  } catch (error) {
    const { message } = asSteplogError(error);
    return [fail("postgres", message, "Start it, or correct DATABASE_URL; leave it out to use steplog start's own.")];
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

export function clock({ now, askedMs }: Pick<DatabaseHealth, "now" | "askedMs">, here = Date.now()): Finding {
  const apart = Math.abs(here - now.getTime());
  if (apart <= mostApartMs + askedMs) return ok("clocks", "this machine's and the database's agree");
  const way = here > now.getTime() ? "ahead of" : "behind";
  const mend = "Have both set by NTP, as by chrony or systemd-timesyncd.";
  return warn("clocks", `This machine's clock is ${formatDuration(apart / 1_000)} ${way} the database's.`, mend);
}

export async function service(url: string): Promise<Finding> {
  const token = readVariable("STEPLOG_API_TOKEN");
  try {
    const client = new SteplogClient({ url, token });
    const answer = await client.query<{ service: { version: string } }>("{ service { version } }");
    if (answer.service.version === version) return ok("service", `Steplog ${version} answers at ${url}`);
    const message = `Steplog ${answer.service.version} answers at ${url}; this command is of ${version}.`;
    return warn("service", message, "Use commands of the service's release: npm install steplog@VERSION");
  } catch (error) {
    const { code, message } = asSteplogError(error);
    if (code === "UNAUTHENTICATED")
      return warn(
        "service",
        `A Steplog answers at ${url}, and refuses the key.`,
        "Set STEPLOG_API_TOKEN to a key: steplog keys create",
      );
    return warn("service", message, "Start one: steplog start; or give its address: --url, STEPLOG_URL");
  }
}
