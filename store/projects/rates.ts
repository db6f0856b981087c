/** Rate limits that an operator has set for a project's keys, or for one key. Gateways hear of a change as of one of keys. */
import { eq } from "drizzle-orm";
import type { AuditDetails } from "../../schema/audit.ts";
import { apiKeys, projects } from "../../schema/project-tables.ts";
import { type OwnRates, type RateName, rateNames } from "../../schema/rates.ts";
import { audit } from "../audit/audit.ts";
import { type Database, type Transaction, isUuid, only } from "../postgres/database.ts";
import { wakeWatchers } from "../postgres/notify.ts";
import { keysTopic } from "./keys.ts";
import { notThere } from "./sight.ts";

/** Null takes a limit of its own away; what is left out stays as it is. */
export type RateChanges = Readonly<Partial<Record<RateName, number | null | undefined>>>;

/** Whose limits: of each key of a project, or of one key. */
export type RateSubject = { readonly projectId: string } | { readonly keyId: string };

/** What it has of its own then. @throws NOT_FOUND */
export async function changeRates(database: Database, subject: RateSubject, changes: RateChanges): Promise<OwnRates> {
  return database.transaction(async (tx) => {
    const rates = changed(await lock(tx, subject), changes);
    await write(tx, subject, rates, detailsOf(changes));
    await wakeWatchers(tx, keysTopic);
    return rates;
  });
}

async function lock(tx: Transaction, subject: RateSubject): Promise<OwnRates> {
  const [table, id, noun] =
    "keyId" in subject ? [apiKeys, subject.keyId, "API key"] : [projects, subject.projectId, "project"];
  const [row] = isUuid(id)
    ? await tx.select({ rates: table.rates }).from(table).where(eq(table.id, id)).for("no key update")
    : [];
  if (!row) throw notThere(noun, id);
  return row.rates;
}

/** With its entry in the audit log. */
async function write(tx: Transaction, subject: RateSubject, rates: OwnRates, details: AuditDetails): Promise<void> {
  if ("keyId" in subject) {
    const key = only(await tx.update(apiKeys).set({ rates }).where(eq(apiKeys.id, subject.keyId)).returning());
    await audit(tx, { projectId: key.projectId, action: "key.rates_changed", object: key, details });
    return;
  }
  const { projectId } = subject;
  const project = only(await tx.update(projects).set({ rates }).where(eq(projects.id, projectId)).returning());
  await audit(tx, { projectId, action: "project.rates_changed", object: project, details });
}

function detailsOf(changes: RateChanges): AuditDetails {
  const given = Object.entries(changes).filter(([, limit]) => limit !== undefined);
  return Object.fromEntries(given.map(([name, limit]) => [name, limit ?? null]));
}

function changed(known: OwnRates, changes: RateChanges): OwnRates {
  const entries = rateNames.flatMap((name) => {
    const limit = changes[name] === undefined ? known[name] : changes[name];
    return limit == null ? [] : [[name, limit] as const];
  });
  return Object.fromEntries(entries);
}
