/** steplog sweeps cancel SWEEP: asks the runs of a sweep that have not ended to stop. */
import type { Command } from "commander";
import { counted } from "../../schema/units.ts";
import { sweepArgument } from "../completion/names.ts";
import { cancelSweep } from "../operations.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { withService } from "../remote.ts";
import { idOf } from "../short-ids.ts";
import { runsInWords } from "../sweeps-in-words.ts";

export function define(command: Command): void {
  command
    .description(
      "Ask the runs of a sweep that have not ended to stop. Queued ones end at once, running ones after their current step.",
    )
    .addArgument(sweepArgument())
    .addOption(urlOption())
    .option("--json", "print the sweep with its runs as one JSON object")
    .addHelpText("after", "\nExample:\n  steplog sweeps cancel rates")
    .action(cancel);
}

async function cancel(given: string, { url, json }: { readonly url: string; readonly json?: true }): Promise<void> {
  await withService(url, async ({ client }) => {
    const sweep = (await client.query(cancelSweep, { id: await idOf(client, "SWEEP", given) })).cancelSweep;
    if (json) return printJson(sweep);
    const stopping = sweep.runs.filter(({ status, cancelRequested }) => status === "RUNNING" && cancelRequested);
    print(`The sweep ${sweep.name} is cancelled. Runs, ${runsInWords(sweep.statuses)}.`);
    if (stopping.length > 0)
      print(
        `Stopping after the current step: ${counted(stopping.length, "run")}. Steps so far and their logs are kept.`,
      );
  });
}
