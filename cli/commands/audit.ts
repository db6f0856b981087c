/** steplog audit [--project NAME] [--since TIME] [--until TIME] [--actor NAME] [--action ACTION] [--object ID] [--limit N] [--json] */
import type { Command } from "commander";
import { auditActions } from "../../schema/audit.ts";
import type { AuditRow } from "../administration.ts";
import { projectNamed, withAdministrator } from "../administrator.ts";
import { urlOption } from "../options.ts";
import { print, printJson, printTable } from "../output.ts";
import { type PageOptions, type Paging, addPageOptions, eachPage, pages, sayMore } from "../pages.ts";
import { timeIn } from "../times.ts";

export function define(command: Command): void {
  addPageOptions(command, "cursor", 100)
    .description("Print the audit log, newest first: who did what. With --json, one JSON object a line.")
    .option("--project <name>", "only of this project; an operator's key reads all if left out, another its own")
    .option("--since <time>", "only since then, such as 2026-01-31 or 2026-01-31T12:00:00Z", timeIn)
    .option("--until <time>", "only before then", timeIn)
    .option("--actor <name>", "only what this key or command line did; or service, operator, command, key")
    .option("--action <action>", `only what is called so: ${Object.keys(auditActions).join(", ")}`)
    .option("--object <id>", "only what was done to the object with this id")
    .addOption(urlOption())
    .option("--json", "print one JSON object a line, each with its cursor for --after")
    .addHelpText("after", "\nExample:\n  steplog audit --action fine_tune.deleted --since 2026-01-31")
    .action(list);
}

interface Options extends PageOptions {
  readonly project?: string;
  readonly since?: Date;
  readonly until?: Date;
  readonly actor?: string;
  readonly action?: string;
  readonly object?: string;
  readonly url: string;
  readonly json?: true;
}

async function list({ project, since, url, limit, after, all, json, ...asked }: Options): Promise<void> {
  await withAdministrator(url, async (administrator) => {
    const { until = null, actor = null, action = null, object = null } = asked;
    const projectId = await projectNamed(administrator, project);
    const query = { projectId, from: since ?? null, until, actor, action, object };
    const wanted = { limit, ...(all && { all }) };
    const read = (page: Paging) => administrator.audit(query, page);
    if (json) {
      for await (const { rows } of eachPage(wanted, after ?? null, read)) for (const row of rows) printJson(row);
      return;
    }
    const listed = await pages(wanted, after ?? null, read);
    if (listed.rows.length === 0) return print("There is nothing of the kind in the audit log.");
    printTable(["at", "who", "what", "which", "more"], listed.rows.map(cellsOf));
    sayMore(listed, { noun: "entries", nameOf: ({ cursor }) => cursor });
  });
}

function cellsOf({ at, actor, action, objectName, objectId, details }: AuditRow): string[] {
  const which = objectName === null || objectName === "" ? (objectId ?? "") : objectName;
  const more = Object.entries(details).map(([name, value]) => `${name} ${value ?? "none"}`);
  return [at.slice(0, 19).replace("T", " "), actor.name ?? actor.kind.toLowerCase(), action, which, more.join(", ")];
}
