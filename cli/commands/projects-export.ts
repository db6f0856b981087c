/** steplog projects export NAME --to DIR|FILE.tar [--no-weights] */
import type { Command } from "commander";
import { formatBytes } from "../../schema/units.ts";
import { projectNamed, withAdministrator } from "../administrator.ts";
import { requireWritable } from "../files.ts";
import { urlOption } from "../options.ts";
import { print, printJson, ProgressLine } from "../output.ts";
import { receiveArchive, refuseIfThere } from "../project-archive.ts";

export function define(command: Command): void {
  command
    .description(
      "Write everything that a project has into a folder, or into one file: runs, logs, datasets, answers, the audit log. It is " +
        "checked, and appears when it is complete. Needs the scope admin.",
    )
    .argument("<name>", "the project")
    .requiredOption("--to <path>", "a folder, or a file that ends in .tar; nothing may be there")
    .option("--no-weights", "leave stored weights out, which the logs can rebuild")
    .addOption(urlOption())
    .option("--json", "print one JSON object")
    .addHelpText("after", "\nExample:\n  steplog projects export reviews --to reviews.tar")
    .action(exportProject);
}

interface Options {
  readonly to: string;
  readonly weights: boolean;
  readonly url: string;
  readonly json?: true;
}

async function exportProject(name: string, { to, weights, url, json }: Options): Promise<void> {
  await refuseIfThere(to);
  await requireWritable(to, to.endsWith(".tar") ? "file" : "folder");
  await withAdministrator(url, async (administrator) => {
    const id = await projectNamed(administrator, name);
    const source = await administrator.exportProject(id ?? "", { weights });
    const report = await receiveArchive(withProgress(source), to);
    if (json) return printJson({ ...report, path: to });
    print(
      `${to} has ${report.files} files and ${report.bytes} bytes of the project ${name}; ${report.logs} logs were checked.`,
    );
  });
}

/** How many there will be is not known before they are there. */
async function* withProgress(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const progress = new ProgressLine();
  let received = 0;
  try {
    for await (const chunk of source) {
      yield chunk;
      received += chunk.byteLength;
      progress.show(`received ${formatBytes(received)}`);
    }
  } finally {
    progress.end();
  }
}
