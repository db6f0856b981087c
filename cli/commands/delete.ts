/** steplog delete run | checkpoint | weights | dataset | evaluation | sweep ID [--yes] */
import type { Command } from "commander";
import { Argument } from "commander";
import type { SteplogClient } from "../../client/index.ts";
import type { FindableType } from "../../client/schema-types.ts";
import { SteplogError } from "../../schema/errors.ts";
import { agreed } from "../agreed.ts";
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
    delete: async (client, id, { cancel }) => (await client.query(operations.deleteRun, { id, cancel })).deleteFineTune,
  },
  checkpoint: {
    type: "CHECKPOINT",
    takes: "its weights, and the completions and evaluations of it; the run's log stays",
    delete: async (client, id) => (await client.query(operations.deleteCheckpoint, { id })).deleteCheckpoint,
  },
  weights: {
    type: "CHECKPOINT",
    of: "checkpoint",
    takes: "those in other forms; the checkpoint stays, and `steplog rebuild` makes them again",
    delete: async (client, id) => (await client.query(operations.deleteWeights, { id })).deleteWeights.id === id,
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
  sweep: {
    type: "SWEEP",
    takes: "nothing else: its runs stay, as runs of no sweep",
    takesWithRuns: "its runs, their logs, checkpoints and evaluations",
    delete: async (client, id, how) => (await client.query(operations.deleteSweep, { id, ...how })).deleteSweep,
  },
} as const satisfies Record<string, Kind>;

interface Kind {
  readonly type: FindableType;
  /** What the id is of, where it is not of the thing itself. */
  readonly of?: string;
  /** What goes with it. */
  readonly takes: string;
  /** What goes with it by --runs, where there is such a choice. */
  readonly takesWithRuns?: string;
  readonly delete: (client: SteplogClient, id: string, how: How) => Promise<boolean>;
}

interface How {
  readonly cancel: boolean;
  readonly runs: boolean;
}

interface DeleteOptions {
  readonly url: string;
  readonly yes?: true;
  readonly cancel?: true;
  readonly runs?: true;
  readonly json?: true;
}

/** Those whose names a shell completes. */
const completed = ["run", "dataset", "evaluation", "sweep"] as const;

export function define(command: Command): void {
  command
    .description(
      "Delete a run, a checkpoint, the stored weights of one, a dataset, an evaluation or a sweep. What something else needs " +
        "stays, and that is named.",
    )
    .addArgument(new Argument("<what>", "what it is").choices(Object.keys(kinds)))
    .addArgument(
      naming(
        new Argument(
          "<id>",
          "its id (of weights, that of their checkpoint), the beginning of it, or the name of a run, a dataset or a sweep",
        ),
        ([what]) => completed.find((one) => one === what) ?? null,
      ),
    )
    .option("--yes", "do not ask")
    .option("--cancel", "end a run that is being trained; without it, it stays")
    .option("--runs", "with a sweep: delete its runs too")
    .addOption(urlOption())
    .option("--json", "print {deleted}; needs --yes")
    .addHelpText("after", "\nExamples:\n  steplog delete run 4f2a91c0\n  steplog delete sweep rates --runs --cancel")
    .action(remove);
}

async function remove(what: keyof typeof kinds, given: string, options: DeleteOptions): Promise<void> {
  const kind: Kind = kinds[what];
  const { cancel = false, runs = false, json = false } = options;
  if (runs && kind.takesWithRuns === undefined)
    throw new SteplogError("INVALID_ARGUMENT", `A ${what} has no runs to delete: --runs is for sweeps.`);
  const takes = runs ? (kind.takesWithRuns ?? kind.takes) : kind.takes;
  await withService(options.url, async ({ client }) => {
    const id = await idOf(client, kind.type, given);
    const short = given.startsWith(shortId(id)) || given === id ? shortId(id) : `${given} (${shortId(id)})`;
    const named = kind.of === undefined ? `${what} ${short}` : `${what} of ${kind.of} ${short}`;
    if (!options.yes && !(await agreed(`Delete the ${named}, with ${takes}?`, json))) {
      print("Nothing was deleted.");
      return;
    }
    const is = kind.of === undefined ? "is" : "are";
    const deleted = await kind.delete(client, id, { cancel, runs });
    if (json) printJson({ deleted });
    else print(deleted ? `The ${named} ${is} deleted.` : `The ${named} was deleted already.`);
  });
}
