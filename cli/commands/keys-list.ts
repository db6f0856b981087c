/** steplog keys list [--project NAME] [--json] */
import type { Command } from "commander";
import type { KeyRow } from "../administration.ts";
import { projectNamed, withAdministrator } from "../administrator.ts";
import { urlOption } from "../options.ts";
import { print, printJson, printTable } from "../output.ts";

export function define(command: Command): void {
  command
    .description("List the API keys of a project, also those that have ended.")
    .option("--project <name>", "the project; the default one if left out")
    .addOption(urlOption())
    .option("--json", "print the keys as one JSON list")
    .addHelpText("after", "\nExample:\n  steplog keys list --project reviews")
    .action(list);
}

async function list({ project, url, json }: { readonly project?: string; readonly url: string; readonly json?: true }) {
  await withAdministrator(url, async (administrator) => {
    const keys = await administrator.keys(await projectNamed(administrator, project));
    if (json) printJson(keys);
    else if (keys.length === 0)
      print("There are no keys. Make one: steplog keys create --name NAME --scopes read,train");
    else printTable(["begins", "name", "scopes", "made", "last used", "ends"], keys.map(rowOf));
  });
}

function rowOf({ start, name, scopes, createdAt, lastUsedAt, expiresAt, revokedAt }: KeyRow): string[] {
  const end = revokedAt === null ? (expiresAt === null ? "" : day(expiresAt)) : `revoked ${day(revokedAt)}`;
  return [start, name, scopes.join(","), day(createdAt), lastUsedAt === null ? "never" : day(lastUsedAt), end];
}

function day(at: string): string {
  return at.slice(0, 16).replace("T", " ");
}
