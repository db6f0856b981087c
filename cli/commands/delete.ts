/** steplog delete run | checkpoint | dataset | evaluation ID [--yes] */
import { createInterface } from "node:readline/promises";
import type { Command } from "commander";
import { Argument } from "commander";
import type { SteplogClient } from "../../client/index.ts";
import type { FindableType } from "../../client/schema-types.ts";
import { SteplogError } from "../../schema/errors.ts";
import { naming } from "../completion/names.ts";
import * as operations from "../operations.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { withService } from "../remote.ts";
import { idOf, shortId } from "../short-ids.ts";

const kinds = {
  run: {
    type: "FINE_TUNE",
    takes: "its log, its checkpoints, their weights, and the completions and evaluations of these",
    delete: async (client, id, cancel) => (await client.query(operations.deleteRun, { id, cancel })).deleteFineTune,
  },
  checkpoint: {
    type: "CHECKPOINT",
    takes: "its weights, and the completions and evaluations of it; the run's log stays",
    delete: async (client, id) => (await client.query(operations.deleteCheckpoint, { id })).deleteCheckpoint,
  },
  dataset: {
    type: "DATASET",
    takes: "its rows; runs that used it still name it",
    delete: async (client, id) => (await client.query(operations.deleteDataset, { id })).deleteDataset,
  },
  evaluation: {
    type: "EVALUATION",
    takes: "what it measured",
    delete: async (client, id) => (await client.query(operations.deleteEvaluation, { id })).deleteEvaluation,
  },
} as const satisfies Record<string, Kind>;

interface Kind {
  readonly type: FindableType;
  /** What goes with it. */
  readonly takes: string;
  readonly delete: (client: SteplogClient, id: string, cancel: boolean) => Promise<boolean>;
}

interface DeleteOptions {
  readonly url: string;
  readonly yes?: true;
  readonly cancel?: true;
  readonly json?: true;
}

export function define(command: Command): void {
  command
    .description(
      "Delete a run, a checkpoint, a dataset or an evaluation. What something else needs stays, and that is named.",
    )
    .addArgument(new Argument("<what>", "what it is").choices(Object.keys(kinds)))
    .addArgument(
      naming(new Argument("<id>", "its id, the beginning of it, or the name of a run or a dataset"), ([what]) =>
        what === "run" || what === "dataset" ? what : null,
      ),
    )
    .option("--yes", "do not ask")
    .option("--cancel", "end a run that is being trained; without it, it stays")
    .addOption(urlOption())
    .option("--json", "print {deleted}; needs --yes")
    .addHelpText("after", "\nExample:\n  steplog delete run 4f2a91c0")
    .action(remove);
}

async function remove(what: keyof typeof kinds, given: string, options: DeleteOptions): Promise<void> {
  const kind: Kind = kinds[what];
  await withService(options.url, async ({ client }) => {
    const id = await idOf(client, kind.type, given);
    const named = given.startsWith(shortId(id)) || given === id ? shortId(id) : `${given} (${shortId(id)})`;
    if (!options.yes && !(await agreed(`Delete the ${what} ${named}, with ${kind.takes}?`, options.json ?? false))) {
      print("Nothing was deleted.");
      return;
    }
    const deleted = await kind.delete(client, id, options.cancel ?? false);
    if (options.json) printJson({ deleted });
    else print(deleted ? `The ${what} ${named} is deleted.` : `The ${what} ${named} was deleted already.`);
  });
}

/** @throws INVALID_ARGUMENT where nobody can be asked */
async function agreed(question: string, json: boolean): Promise<boolean> {
  if (json || !process.stdin.isTTY)
    throw new SteplogError("INVALID_ARGUMENT", `${question} Nobody can be asked here: add --yes.`);
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/iu.test((await asking.question(`${question} [y/N] `)).trim());
  } finally {
    asking.close();
  }
}
