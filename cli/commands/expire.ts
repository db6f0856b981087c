/** steplog expire run | checkpoint | dataset | evaluation ID WHEN: when something is to end by itself. */
import type { Command } from "commander";
import { Argument } from "commander";
import type { ExpiryInput, FindableType } from "../../client/schema-types.ts";
import { naming } from "../completion/names.ts";
import { setExpiry } from "../operations.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { withService } from "../remote.ts";
import { timeInWords } from "../runs-in-words.ts";
import { idOf, shortId } from "../short-ids.ts";
import { expiryIn, expiryWords } from "../times.ts";

const types = {
  run: "FINE_TUNE",
  checkpoint: "CHECKPOINT",
  dataset: "DATASET",
  evaluation: "EVALUATION",
} as const satisfies Record<string, FindableType>;
type What = keyof typeof types;

export function define(command: Command): void {
  command
    .description(
      "Say when a run, a checkpoint, a dataset or an evaluation ends by itself. What is due is deleted, unless something needs it then.",
    )
    .addArgument(new Argument("<what>", "what it is").choices(Object.keys(types)))
    .addArgument(
      naming(new Argument("<id>", "its id, the beginning of it, or the name of a run or a dataset"), ([what]) =>
        what !== undefined && what in types ? (what as What) : null,
      ),
    )
    .addArgument(new Argument("<when>", expiryWords).argParser(expiryIn))
    .addOption(urlOption())
    .option("--json", "print {expiresAt}, null for never")
    .addHelpText("after", "\nExamples:\n  steplog expire dataset reviews 30d\n  steplog expire run 4f2a91c0 never")
    .action(expire);
}

interface ExpireOptions {
  readonly url: string;
  readonly json?: true;
}

async function expire(what: What, given: string, expiry: ExpiryInput, { url, json }: ExpireOptions): Promise<void> {
  await withService(url, async ({ client }) => {
    const id = await idOf(client, types[what], given);
    const { expiresAt } = (await client.query(setExpiry, { id, expiry })).setExpiry;
    if (json) return printJson({ expiresAt });
    const end = expiresAt === null ? "stays until somebody deletes it" : `ends at ${timeInWords(expiresAt)} UTC`;
    print(`The ${what} ${shortId(id)} ${end}.`);
  });
}
