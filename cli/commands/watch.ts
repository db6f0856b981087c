/** steplog watch RUN: a run live in the terminal, until it has ended. */
import type { Command } from "commander";
import { runArgument } from "../completion/names.ts";
import { followToEnd } from "../follow.ts";
import { urlOption } from "../options.ts";
import { withService } from "../remote.ts";
import { runOf } from "../short-ids.ts";
import { canRedraw } from "../terminal.ts";
import { watchRun } from "../watch/watch.ts";

interface WatchOptions {
  readonly url: string;
  readonly json?: true;
}

export function define(command: Command): void {
  command
    .description(
      "Watch a run in the terminal until it has ended: its losses as a chart, how far it is, what it measured and stored. Exits with its outcome.",
    )
    .addArgument(runArgument())
    .addOption(urlOption())
    .option("--json", "print the outcome as one JSON object, as steplog follow does")
    .addHelpText("after", "\nExample:\n  steplog watch 4f2a91c0")
    .action(watch);
}

/** Into a pipe, it prints what `follow` prints. */
async function watch(given: string, { url, json }: WatchOptions): Promise<void> {
  const live = canRedraw() && !json;
  await withService(url, async (service) =>
    followToEnd(service, async () => service.client.fineTune(await runOf(service.client, given)), {
      ...(json && { json }),
      ...(live && { show: watchRun }),
    }),
  );
}
