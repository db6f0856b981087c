/** steplog update RUN [--name NAME] [--tag TAG...] [--priority N] [--archive | --unarchive] */
import type { Command } from "commander";
import { InvalidArgumentError, Option } from "commander";
import type { UpdateFineTuneInput } from "../../client/schema-types.ts";
import { SteplogError } from "../../schema/errors.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { withService } from "../remote.ts";
import { runOf, shortId } from "../short-ids.ts";

interface UpdateOptions {
  readonly url: string;
  readonly name?: string;
  readonly tag?: string[];
  readonly untag?: true;
  readonly priority?: number;
  readonly archive?: true;
  readonly unarchive?: true;
  readonly json?: true;
}

export function define(command: Command): void {
  command
    .description("Change the name, tags or priority of a run, or archive it. What is not named stays.")
    .argument("<run>", "the run, by its id, the beginning of it, or its name")
    .option("--name <name>", "its new name")
    .option("--tag <tag...>", "its tags, in place of those that it has")
    .addOption(new Option("--untag", "take off all of its tags").conflicts("tag"))
    .option("--priority <number>", "its place among the runs that wait: the highest comes first", wholeNumber)
    .option("--archive", "leave it out of lists")
    .addOption(new Option("--unarchive", "list it again").conflicts("archive"))
    .addOption(urlOption())
    .option("--json", "print the run as one JSON object")
    .addHelpText("after", "\nExample:\n  steplog update 4f2a91c0 --name reviews --tag films --priority 5")
    .action(update);
}

async function update(given: string, options: UpdateOptions): Promise<void> {
  const input = inputOf(options);
  await withService(options.url, async ({ client }) => {
    const run = await client.update(await runOf(client, given), input);
    if (options.json) return printJson(run);
    const tags = run.tags.length === 0 ? "no tags" : `tags ${run.tags.join(", ")}`;
    const archived = run.archivedAt === null ? "" : ", archived";
    print(`${run.name} (${shortId(run.id)}): ${tags}, priority ${run.priority}${archived}.`);
  });
}

/** @throws INVALID_ARGUMENT when nothing is to change */
function inputOf({ name, tag, untag, priority, archive, unarchive }: UpdateOptions): UpdateFineTuneInput {
  const input = {
    ...(name !== undefined && { name }),
    ...(tag && { tags: tag }),
    ...(untag && { tags: [] }),
    ...(priority !== undefined && { priority }),
    ...((archive ?? unarchive) && { archived: archive ?? false }),
  };
  if (Object.keys(input).length > 0) return input;
  const message = "Say what to change: --name, --tag, --untag, --priority, --archive or --unarchive.";
  throw new SteplogError("INVALID_ARGUMENT", message);
}

/** The service says which there are. */
function wholeNumber(text: string): number {
  if (/^-?\d{1,9}$/u.test(text)) return Number(text);
  throw new InvalidArgumentError("Give a whole number.");
}
