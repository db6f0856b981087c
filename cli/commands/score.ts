/** steplog score --model FOLDER [--adapter FOLDER] --data FILE [--json] */
import type { Command } from "commander";
import { scoreRows } from "../../engine/objective/evaluate.ts";
import { inSandbox } from "../../sandbox/sandbox.ts";
import { requireRows } from "../files.ts";
import { counted } from "../../schema/units.ts";
import type { ReadingOptions } from "../model.ts";
import { encodeFile, openForReading } from "../model.ts";
import { adapterOption, deviceOption } from "../options.ts";
import { print, printJson } from "../output.ts";

interface ScoreOptions extends ReadingOptions {
  data: string;
  json?: true;
}

export function define(command: Command): void {
  command
    .description("Compute the loss of each row of a file under a model.")
    .requiredOption("--model <folder>", "a model in Hugging Face layout")
    .addOption(adapterOption())
    .requiredOption("--data <file.jsonl>", "rows of prompt and completion, or of input_ids and labels")
    .option("--json", "print {rows: [{loss, tokens}]}")
    .addOption(deviceOption())
    .addHelpText("after", "\nExample:\n  steplog score --model tuned --data rows.jsonl --json")
    .action(score);
}

async function score(options: ScoreOptions): Promise<void> {
  await requireRows(options.data);
  const rows = await inSandbox(async (sandbox) => {
    const model = await openForReading(sandbox, options);
    return scoreRows(model, await encodeFile(sandbox, model, options.data));
  });
  if (options.json) {
    printJson({ rows });
    return;
  }
  rows.forEach(({ loss, tokens }, index) =>
    print(`row ${index + 1}: loss ${loss.toFixed(6)} over ${counted(tokens, "token")}`),
  );
}
