/**
 * steplog sweeps create FILE.json: queues the runs of a sweep that a file describes; or, with --dry-run, says how many they are and
 * what they take.
 */
import { basename, dirname, resolve } from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import type { CreateSweepInput } from "../../client/schema-types.ts";
import { wrongHyperparameters } from "../../schema/hyperparameters.ts";
import { counted } from "../../schema/units.ts";
import { contentKey } from "../content-key.ts";
import { exitCodes } from "../exit-codes.ts";
import { reportFailure } from "../exit.ts";
import { readUserJson } from "../files.ts";
import { createSweepFromFile, estimateSweepOfFile, type EstimateSweepOfFileQuery } from "../operations.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { commandFor, withService } from "../remote.ts";
import {
  datasetKey,
  hyperparametersSchema,
  parseFile,
  requireDatasets,
  rowsApart,
  runFields,
  storedDatasets,
} from "../run-file.ts";
import { shortId } from "../short-ids.ts";
import { passesInWords, runsInWords } from "../sweeps-in-words.ts";

const gridSchema = z.record(z.string(), z.array(z.unknown()).min(1)).superRefine((grid, context) => {
  for (const [name, values] of Object.entries(grid)) {
    for (const [index, value] of values.entries()) {
      for (const { message } of wrongHyperparameters({ [name]: value }))
        context.addIssue({ code: "custom", path: [name, index], message });
    }
  }
});

const sweepSchema = z.strictObject({
  name: z.string().optional(),
  /** What the runs share: the fields of a file for `steplog tune`. */
  run: z.strictObject(runFields),
  /** One of them. */
  vary: z.union([
    z.strictObject({ grid: gridSchema }),
    z.strictObject({ list: z.array(hyperparametersSchema).min(1) }),
  ]),
  idempotencyKey: z.string().optional(),
});

export function define(command: Command): void {
  command
    .description("Queue the runs of the sweep that a file describes, all of them or none.")
    .argument("<file.json>", "what the runs share and what varies; docs/CLI.md lists the fields")
    .option("--key <text>", "idempotency key: the same file with the same key again finds the first sweep")
    .option("--dry-run", "create nothing; say how many runs and forward passes it is, and what would be refused")
    .addOption(urlOption())
    .option("--json", "print the sweep, or what it would take, as one JSON object")
    .addHelpText("after", "\nExample:\n  steplog sweeps create rates.json --dry-run")
    .action(create);
}

interface CreateOptions {
  readonly url: string;
  readonly key?: string;
  readonly dryRun?: true;
  readonly json?: true;
}

async function create(file: string, { url, key, dryRun, json }: CreateOptions): Promise<void> {
  const given = parseFile(sweepSchema, { file, value: await readUserJson(file), what: "a sweep" });
  const { name = basename(file, ".json"), vary, idempotencyKey = key } = given;
  const [rows, settings] = rowsApart(given.run);
  const here = dirname(resolve(file));
  // Before the first of them is uploaded.
  await requireDatasets(rows, here);
  await withService(url, async (service) => {
    const { client } = service;
    const keyOf = dryRun
      ? (_role: string, path: string) => contentKey(path)
      : (role: string) => datasetKey(role, idempotencyKey);
    const ids = await storedDatasets(client, rows, { here, keyOf });
    const run = { ...settings, name: settings.name ?? name, ...ids };
    // The service checks what the schema of the file leaves open.
    const input = { name, run, vary, ...(idempotencyKey !== undefined && { idempotencyKey }) } as CreateSweepInput;
    if (dryRun) return printEstimate((await client.query(estimateSweepOfFile, { input })).estimateSweep, json ?? false);
    const { createSweep } = await client.query(createSweepFromFile, { input });
    const { created, sweep } = createSweep;
    if (json) return printJson({ ...sweep, created });
    print(`${created ? "Created" : "Found"} the sweep ${JSON.stringify(sweep.name)} (${shortId(sweep.id)}).`);
    print(`Runs, ${runsInWords(sweep.statuses)}. Their steps take ${passesInWords(sweep.passes)}.`);
    print(`How it goes: ${commandFor("sweeps show", shortId(sweep.id), service)}`);
  });
}

function printEstimate(estimate: EstimateSweepOfFileQuery["estimateSweep"], json: boolean): void {
  const { runs, steps, passes, errors } = estimate;
  if (json) printJson(estimate);
  for (const error of errors) reportFailure(error);
  if (errors.length > 0) process.exitCode = exitCodes.refused;
  if (!json) print(`${counted(runs, "run")} of ${counted(steps, "step")} in all: ${passesInWords(passes)}.`);
}
