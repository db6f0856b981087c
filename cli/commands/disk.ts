/** steplog disk [--project NAME] [--json] */
import type { Command } from "commander";
import { formatBytes } from "../../schema/units.ts";
import { projectNamed, withAdministrator } from "../administrator.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";

export function define(command: Command): void {
  command
    .description(
      "Show what takes room on disk, by project and kind. With DATABASE_URL of all projects, as the database tells it, otherwise what " +
        "the service at --url tells the holder of STEPLOG_API_TOKEN.",
    )
    .option("--project <name>", "one project")
    .addOption(urlOption())
    .option("--json", "print one JSON object, in bytes")
    .addHelpText("after", "\nExample:\n  DATABASE_URL=postgres://user:secret@localhost/steplog steplog disk")
    .action(disk);
}

async function disk({ project, url, json }: { readonly project?: string; readonly url: string; readonly json?: true }) {
  await withAdministrator(url, async (administrator) => {
    const use = await administrator.diskUse(await projectNamed(administrator, project));
    if (json) return printJson(use);
    const rows = use.parts.map((part) => [
      part.project ?? "(none)",
      part.kind.toLowerCase(),
      part.files > 0 ? String(part.files) : "",
      formatBytes(part.blobBytes + part.databaseBytes),
    ]);
    const all = [["project", "kind", "files", "size"], ...rows];
    const widths = [0, 1, 2].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
    for (const row of all)
      print(
        row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join("  ")
          .trimEnd(),
      );
    print(`Stored files, each once: ${formatBytes(use.blobBytes)}.`);
    if (use.databaseBytes !== null) print(`The whole database: ${formatBytes(use.databaseBytes)}.`);
  });
}
