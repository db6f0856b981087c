/** steplog reconstruct --base FOLDER --log FILE --out FOLDER [--verify [all]] [--merge] [--dtype DTYPE] */
import type { Command } from "commander";
import { InvalidArgumentError, Option } from "commander";
import type { Verification } from "../../log/index.ts";
import { readLog, replay } from "../../log/index.ts";
import { SteplogError } from "../../schema/errors.ts";
import type { OutputDtype } from "../../schema/output-dtype.ts";
import { outputDtypes } from "../../schema/output-dtype.ts";
import { devicesFolder } from "../config.ts";
import { ofFile, readUserFile, requireWritable } from "../files.ts";
import { deviceOption } from "../options.ts";
import { ProgressLine, print, printJson } from "../output.ts";
import { counted, formatBytes } from "../../schema/units.ts";

interface ReconstructOptions {
  base: string;
  log: string;
  out: string;
  device: string;
  verify?: true | "all";
  digest?: string;
  force?: true;
  merge?: true;
  dtype?: OutputDtype;
  json?: true;
}

export function define(command: Command): void {
  command
    .description("Rebuild a fine-tuned model from its base and its log, as a folder that transformers or peft loads.")
    .requiredOption("--base <folder>", "the base model that was fine-tuned")
    .requiredOption("--log <file>", "the .steplog file")
    .requiredOption("--out <folder>", "where to write the model")
    .addOption(
      new Option(
        "--verify [all]",
        "read the result back, and replay a sample of the weights, or all, a second time in plain TypeScript",
      ).argParser(verifyExtent),
    )
    .option("--merge", "for a LoRA adapter: write the whole model with the adapter merged into it")
    .addOption(
      new Option("--dtype <dtype>", "write all weights in this format, rounded to the nearest value").choices(
        outputDtypes,
      ),
    )
    .option("--digest <hex>", "fail unless the weights have this digest")
    .option("--force", "replace the output folder")
    .option("--json", "print one JSON object at the end")
    .addOption(deviceOption())
    .addHelpText(
      "after",
      "\nExample:\n  steplog reconstruct --base models/opt-125m --log run.steplog --out tuned --verify",
    )
    .action(reconstructCommand);
}

function verifyExtent(text: string): "all" {
  if (text === "all") return text;
  throw new InvalidArgumentError("Give no value, for a check of at most a minute, or all.");
}

async function reconstructCommand(options: ReconstructOptions): Promise<void> {
  const bytes = await readUserFile(options.log);
  const log = ofFile(options.log, () => readLog(bytes));
  await requireWritable(options.out, "folder");
  const progress = new ProgressLine();
  const result = await replay({
    baseDir: options.base,
    log,
    outDir: options.out,
    device: options.device,
    devicesDir: devicesFolder(),
    verify: options.verify ?? false,
    replace: options.force ?? false,
    merge: options.merge ?? false,
    ...(options.dtype && { dtype: options.dtype }),
    onProgress: (stage, done, total) => progress.show(`${stage} ${Math.floor((100 * done) / total)}%`),
  });
  progress.end();
  if (options.digest !== undefined && options.digest !== result.digest) {
    throw new SteplogError(
      "LOG_INVALID",
      `The rebuilt weights have the digest ${result.digest} instead of ${options.digest}. They are in ${options.out}.`,
    );
  }
  if (options.json) {
    printJson({ ...result, out: options.out });
    return;
  }
  print(
    `Rebuilt ${formatBytes(result.bytes)} of weights in ${options.out} from ${counted(result.entries, "log entry", "log entries")}.`,
  );
  if (result.verified) print(verifiedLine(result.verified));
  print(`weights digest ${result.digest}`);
  print(`chain          ${result.chain}`);
  // It differs from the weights digest where the folder is another form of what was trained.
  if (options.merge ?? options.dtype) print(`files digest   ${result.filesDigest}`);
}

function verifiedLine({ replayed, of }: Verification): string {
  const share = (100 * replayed) / of;
  const extent = replayed === of ? "all" : `${share.toPrecision(2)}% (spread over every tensor)`;
  return `Verified: every byte was read back, and ${extent} of ${of} trained weights were replayed a second time.`;
}
