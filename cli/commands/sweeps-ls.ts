/** steplog sweeps ls: the sweeps, with what they try and what was best. */
import type { Command } from "commander";
import { listedSweeps } from "../operations.ts";
import { urlOption } from "../options.ts";
import { printTable } from "../output.ts";
import { type PageOptions, addPageOptions, afterOf, byShortId, pages, printPage } from "../pages.ts";
import { withService } from "../remote.ts";
import { bestInWords, timeInWords } from "../runs-in-words.ts";
import { idOf, shortId } from "../short-ids.ts";
import { runsInWords } from "../sweeps-in-words.ts";

interface ListOptions extends PageOptions {
  readonly url: string;
  readonly json?: true;
}

export function define(command: Command): void {
  addPageOptions(command, "id")
    .description("List the sweeps of a service, the newest first.")
    .addOption(urlOption())
    .option("--json", "print one JSON object: {sweeps, totalCount, next}")
    .addHelpText("after", "\nExample:\n  steplog sweeps ls --limit 5")
    .action(list);
}

async function list(options: ListOptions): Promise<void> {
  await withService(options.url, async ({ client }) => {
    const after = await afterOf(options, (given) => idOf(client, "SWEEP", given));
    const page = await pages(options, after, async (paging) => (await client.query(listedSweeps, paging)).sweeps);
    printPage(page, options, {
      noun: "sweeps",
      nameOf: byShortId,
      none: "There are no sweeps. Create one: steplog sweeps create FILE.json",
      printRows(sweeps) {
        const cells = sweeps.map(({ id, name, varied, statuses, best, createdAt }) => [
          shortId(id),
          name,
          varied.join(", "),
          runsInWords(statuses),
          best ? `${bestInWords(best.bestEvaluation)} by ${shortId(best.id)}` : "-",
          timeInWords(createdAt),
        ]);
        printTable(["ID", "NAME", "VARIES", "RUNS", "BEST", "CREATED"], cells, 1);
      },
    });
  });
}
