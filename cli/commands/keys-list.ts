/** steplog keys list [--project NAME] [--json] */
import type { Command } from "commander";
import type { KeyRow } from "../administration.ts";
import { keyNamed, projectNamed, withAdministrator } from "../administrator.ts";
import { urlOption } from "../options.ts";
import { printTable } from "../output.ts";
import { type PageOptions, addPageOptions, afterOf, pages, printPage } from "../pages.ts";

interface Options extends PageOptions {
  readonly project?: string;
  readonly url: string;
  readonly json?: true;
}

export function define(command: Command): void {
  addPageOptions(command, "key")
    .description("List the API keys of a project, also those that have ended.")
    .option("--project <name>", "the project; the default one if left out")
    .addOption(urlOption())
    .option("--json", "print one JSON object: {keys, totalCount, next}")
    .addHelpText("after", "\nExample:\n  steplog keys list --project reviews")
    .action(list);
}

async function list(options: Options): Promise<void> {
  await withAdministrator(options.url, async (administrator) => {
    const project = await projectNamed(administrator, options.project);
    const after = await afterOf(options, async (given) => (await keyNamed(administrator, given, project)).id);
    printPage(await pages(options, after, (page) => administrator.keys(project, page)), options, {
      noun: "keys",
      nameOf: ({ start }) => start,
      none: "There are no keys. Make one: steplog keys create --name NAME --scopes read,train",
      printRows: (keys) => printTable(["begins", "name", "scopes", "made", "last used", "ends"], keys.map(rowOf)),
    });
  });
}

function rowOf({ start, name, scopes, createdAt, lastUsedAt, expiresAt, revokedAt }: KeyRow): string[] {
  const end = revokedAt === null ? (expiresAt === null ? "" : day(expiresAt)) : `revoked ${day(revokedAt)}`;
  return [start, name, scopes.join(","), day(createdAt), lastUsedAt === null ? "never" : day(lastUsedAt), end];
}

function day(at: string): string {
  return at.slice(0, 16).replace("T", " ");
}
