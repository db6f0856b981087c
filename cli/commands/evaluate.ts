/** steplog evaluate MODEL --dataset WHAT: has a running service measure a model on rows, and prints what it measured. */
import { existsSync } from "node:fs";
import type { Command } from "commander";
import { Option } from "commander";
import type { CreateEvaluationInput, ModelEvaluation, SteplogClient } from "../../client/index.ts";
import { hyperparameterTable } from "../../schema/hyperparameter-table.ts";
import { limits } from "../../schema/limits.ts";
import { modelArgument, naming } from "../completion/names.ts";
import { contentKey } from "../content-key.ts";
import { exitCodeOf, exitCodes } from "../exit-codes.ts";
import { reportFailure } from "../exit.ts";
import { requireReadable } from "../files.ts";
import { inWords } from "../measured.ts";
import { integer, urlOption } from "../options.ts";
import { print, printJson, ProgressLine } from "../output.ts";
import { withService } from "../remote.ts";
import { idOf, modelOf } from "../short-ids.ts";
import { uploaded } from "../upload.ts";

interface EvaluateOptions extends Pick<
  CreateEvaluationInput,
  "calibrationPrompt" | "answerTokens" | "truncate" | "precision"
> {
  readonly url: string;
  readonly dataset: string;
  readonly labelWords?: string[];
  readonly key?: string;
  readonly json?: true;
}

export function define(command: Command): void {
  const { truncate, precision } = hyperparameterTable;
  command
    .description("Measure a model of a running service on a dataset, as a fine-tune measures itself.")
    .addArgument(modelArgument())
    .addOption(
      naming(
        new Option(
          "--dataset <what>",
          "a JSON Lines or parquet file, or a stored dataset by its id, the beginning of it, or its name",
        ),
        "dataset",
      ).makeOptionMandatory(),
    )
    .option("--label-words <text...>", "candidate completions of rows that list none")
    .option("--calibration-prompt <text>", "a prompt without content, by which candidates' scores are calibrated")
    .option("--answer-tokens <number>", "most tokens of a generated answer", integer(0, limits.answerTokens))
    .addOption(
      new Option("--truncate <how>", "what happens to rows that are too long").choices(Object.keys(truncate.values)),
    )
    .addOption(new Option("--precision <format>", "number format of products").choices(Object.keys(precision.values)))
    .option("--key <text>", "idempotency key: the same command with the same key finds the first evaluation")
    .addOption(urlOption())
    .option("--json", "print the evaluation as one JSON object")
    .addHelpText(
      "after",
      '\nExample:\n  steplog evaluate demo --dataset demo/validation.jsonl --label-words " great" " terrible"',
    )
    .action(evaluate);
}

async function evaluate(name: string, { url, dataset, key, json, ...rules }: EvaluateOptions): Promise<void> {
  if (isPath(dataset)) await requireReadable(dataset);
  await withService(url, async ({ client }) => {
    const stored = isPath(dataset) ? await storedFile(client, dataset) : await idOf(client, "DATASET", dataset);
    const once = key !== undefined && { idempotencyKey: key };
    const model = { name: await modelOf(client, name) };
    const { id } = await client.createEvaluation({ ...rules, ...once, model, dataset: stored });
    const ended = await measured(client, id);
    if (ended === null) return;
    if (json) printJson(ended);
    else report(ended);
    process.exitCode = exitCodeOf(ended.status);
  });
}

/** What is no file, and has nothing of a path, is the id or the name of a stored dataset. */
function isPath(text: string): boolean {
  return /[/\\]|\.(?:jsonl|parquet)$/u.test(text) || existsSync(text);
}

async function storedFile(client: SteplogClient, path: string): Promise<string> {
  return uploaded(client, path, await contentKey(path));
}

/** Says what it waits for, each reason once. Ctrl-C cancels it: null then. */
async function measured(client: SteplogClient, id: string): Promise<ModelEvaluation | null> {
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort();
  process.once("SIGINT", interrupt);
  const line = new ProgressLine();
  let shown: string | null = null;
  const onWait = ({ waitingReason }: ModelEvaluation) => {
    if (waitingReason !== null && waitingReason !== shown) line.note(waitingReason);
    shown = waitingReason;
  };
  try {
    return await client.waitForEvaluation(id, { signal: interrupted.signal, onWait });
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
    await client.cancelEvaluation(id);
    process.exitCode = exitCodes.interrupted;
    return null;
  } finally {
    process.off("SIGINT", interrupt);
  }
}

function report(evaluation: ModelEvaluation): void {
  const { status, rows, error } = evaluation;
  if (status === "SUCCEEDED") print(inWords({ ...evaluation, rows: rows ?? 0 }, "row"));
  else print(`${status}.`);
  if (error) reportFailure(error);
}
