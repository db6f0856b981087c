/** steplog continue ID --steps N: creates a fine-tune that continues one that has ended, and follows it. */
import { Argument, type Command } from "commander";
import { naming } from "../completion/names.ts";
import { followToEnd } from "../follow.ts";
import { integer, urlOption } from "../options.ts";
import { withService } from "../remote.ts";
import { runOf } from "../short-ids.ts";
import { limits } from "../../schema/limits.ts";

interface ContinueOptions {
  readonly url: string;
  readonly steps: number;
  readonly maxSeconds?: number;
  readonly name?: string;
  readonly log?: string;
  readonly json?: true;
}

export function define(command: Command): void {
  command
    .description("Train a finished fine-tune for more steps, from its last checkpoint; exit with the outcome.")
    .addArgument(naming(new Argument("<id>", "the finished run, by its id, the beginning of it, or its name"), "run"))
    .requiredOption("--steps <number>", "additional steps", integer(1, limits.steps))
    .option(
      "--max-seconds <number>",
      "seconds of training after which it ends, 0 for no limit; the default is that of the finished one",
      integer(0, limits.trainingSeconds),
    )
    .option("--name <name>", "name of the new fine-tune; the default is that of the finished one")
    .option("--log <file>", "where to write the .steplog of the last checkpoint")
    .addOption(urlOption())
    .option("--json", "print the outcome as one JSON object")
    .addHelpText("after", "\nExample:\n  steplog continue 4f2a91c0 --steps 500")
    .action(continueRun);
}

async function continueRun(id: string, { url, steps, maxSeconds, name, ...options }: ContinueOptions): Promise<void> {
  const input = { steps, ...(maxSeconds !== undefined && { maxSeconds }), ...(name !== undefined && { name }) };
  await withService(url, async (service) =>
    followToEnd(service, async () => service.client.continue(await runOf(service.client, id), input), options),
  );
}
