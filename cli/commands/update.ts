/** steplog update RUN [--name NAME] [--tag TAG... | --untag] [--add-tag TAG...] [--remove-tag TAG...] [--priority N] [--archive | --unarchive] [--expires WHEN] */
import type { Command } from "commander";
import { InvalidArgumentError, Option } from "commander";
import type { ExpiryInput, UpdateFineTuneInput } from "../../client/schema-types.ts";
import { SteplogError } from "../../schema/errors.ts";
import { runArgument } from "../completion/names.ts";
import { setExpiry } from "../operations.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { withService } from "../remote.ts";
import { timeInWords } from "../runs-in-words.ts";
import { runOf, shortId } from "../short-ids.ts";
import { expiryIn, expiryWords } from "../times.ts";

interface UpdateOptions {
  readonly url: string;
  readonly name?: string;
  readonly tag?: string[];
  readonly untag?: true;
  readonly addTag?: string[];
  readonly removeTag?: string[];
  readonly priority?: number;
  readonly archive?: true;
  readonly unarchive?: true;
  readonly expires?: ExpiryInput;
  readonly json?: true;
}

export function define(command: Command): void {
  command
    .description("Change the name, tags or priority of a run, or archive it. What is not named stays.")
    .addArgument(runArgument())
    .option("--name <name>", "its new name")
    .option("--tag <tag...>", "its tags, in place of those that it has")
    .addOption(new Option("--untag", "take off all of its tags").conflicts("tag"))
    .option("--add-tag <tag...>", "tags that it gets beside those that it has")
    .option("--remove-tag <tag...>", "tags that it loses")
    .option("--priority <number>", "its place among the runs that wait: the highest comes first", wholeNumber)
    .option("--archive", "leave it out of lists")
    .addOption(new Option("--unarchive", "list it again").conflicts("archive"))
    .option("--expires <when>", `when it ends by itself: ${expiryWords}`, expiryIn)
    .addOption(urlOption())
    .option("--json", "print the run as one JSON object")
    .addHelpText("after", "\nExample:\n  steplog update 4f2a91c0 --name reviews --tag films --priority 5")
    .action(update);
}

async function update(given: string, options: UpdateOptions): Promise<void> {
  const input = inputOf(options);
  await withService(options.url, async ({ client }) => {
    const id = await runOf(client, given);
    const { expires: expiry } = options;
    // First, since it may be refused: then nothing is changed.
    const ending = expiry && (await client.query(setExpiry, { id, expiry })).setExpiry;
    const run = await client.update(id, input);
    if (options.json) return printJson({ ...run, ...ending });
    const tags = run.tags.length === 0 ? "no tags" : `tags ${run.tags.join(", ")}`;
    const archived = run.archivedAt === null ? "" : ", archived";
    const ends = ending ? `, ends: ${ending.expiresAt === null ? "never" : timeInWords(ending.expiresAt)}` : "";
    print(`${run.name} (${shortId(run.id)}): ${tags}, priority ${run.priority}${archived}${ends}.`);
  });
}

/** @throws INVALID_ARGUMENT when nothing is to change */
function inputOf(options: UpdateOptions): UpdateFineTuneInput {
  const { name, tag, untag, addTag, removeTag, priority, archive, unarchive } = options;
  const input = {
    ...(name !== undefined && { name }),
    ...(tag && { tags: tag }),
    ...(untag && { tags: [] }),
    ...(addTag && { addTags: addTag }),
    ...(removeTag && { removeTags: removeTag }),
    ...(priority !== undefined && { priority }),
    ...((archive ?? unarchive) && { archived: archive ?? false }),
  };
  if (Object.keys(input).length > 0 || options.expires) return input;
  const message =
    "Say what to change: --name, --tag, --untag, --add-tag, --remove-tag, --priority, --archive, --unarchive or --expires.";
  throw new SteplogError("INVALID_ARGUMENT", message);
}

/** The service says which there are. */
function wholeNumber(text: string): number {
  if (/^-?\d{1,9}$/u.test(text)) return Number(text);
  throw new InvalidArgumentError("Give a whole number.");
}
