/** steplog rebuild CHECKPOINT [--merged] [--dtype FORMAT] [--out FOLDER]: has a service rebuild weights, and says where they are. */
import type { Command } from "commander";
import { Option } from "commander";
import type { SteplogClient, WaitOptions, WeightsFile } from "../../client/index.ts";
import type { WeightsDtype } from "../../client/schema-types.ts";
import { type OutputDtype, outputDtypes } from "../../schema/output-dtype.ts";
import { counted, formatBytes } from "../../schema/units.ts";
import { checkpointArgument } from "../completion/names.ts";
import { requireWritable } from "../files.ts";
import { untilInterrupted } from "../interrupt.ts";
import { urlOption } from "../options.ts";
import { print, printJson, printTable, ProgressLine } from "../output.ts";
import { commandFor, withService } from "../remote.ts";
import { idOf, shortId } from "../short-ids.ts";

interface RebuildOptions {
  readonly url: string;
  readonly merged?: boolean;
  readonly dtype?: OutputDtype;
  readonly out?: string;
  readonly json?: true;
}

export function define(command: Command): void {
  command
    .description(
      "Have a service rebuild the weights of a checkpoint from its log, wait for them, and print where they can be downloaded. " +
        "Those that are stored already are only kept for longer.",
    )
    .addArgument(checkpointArgument())
    .option("--merged", "of a LoRA adapter: the whole model with the adapter merged into it")
    .addOption(new Option("--dtype <dtype>", "all weights in this format").choices(outputDtypes))
    .option("--out <folder>", "download the files into this folder")
    .addOption(urlOption())
    .option("--json", "print one JSON object: {checkpoint, merged, dtype, bytes, files}")
    .addHelpText("after", "\nExample:\n  steplog rebuild 4f2a91c0 --merged --dtype bfloat16 --out tuned")
    .action(rebuild);
}

async function rebuild(given: string, { url, out, json, merged = false, dtype }: RebuildOptions): Promise<void> {
  if (out !== undefined) await requireWritable(out, "folder");
  await withService(url, async (service) => {
    const { client } = service;
    const checkpoint = await idOf(client, "CHECKPOINT", given);
    const line = new ProgressLine();
    const stop = commandFor("delete weights", shortId(checkpoint), service);
    await untilInterrupted(async (signal) => {
      signal.addEventListener("abort", () => line.note(howToGoOn(stop)));
      const made = await rebuilt(client, checkpoint, { merged, dtype }, { signal, onWait: told(line) });
      line.end();
      if (out !== undefined) await client.downloadFiles(made.files, out);
      if (json) printJson({ checkpoint, merged, dtype: wireOf(dtype) ?? null, ...made });
      else report(checkpoint, made, out);
    });
  });
}

interface Made {
  readonly bytes: number;
  readonly files: readonly WeightsFile[];
}

interface Form {
  readonly merged: boolean;
  readonly dtype: OutputDtype | undefined;
}

type Waiting = WaitOptions & { readonly onWait: (reason: string | null) => void };

/** As they were trained, or in another form. */
async function rebuilt(client: SteplogClient, id: string, { merged, dtype }: Form, waiting: Waiting): Promise<Made> {
  const format = wireOf(dtype);
  const { files } =
    merged || format !== undefined
      ? await client.exportWeights(id, { merged, ...(format && { dtype: format }), ...waiting })
      : { files: (await client.rebuild(id, waiting)).weightsFiles };
  return { bytes: files.reduce((sum, file) => sum + file.bytes, 0), files };
}

const wireOf = (dtype: OutputDtype | undefined) => dtype?.toUpperCase() as WeightsDtype | undefined;

/** Says each reason once. */
function told(line: ProgressLine): (reason: string | null) => void {
  let shown: string | null = null;
  return (reason) => {
    if (reason === null) line.show("A worker rebuilds them.");
    else if (reason !== shown) line.note(reason);
    shown = reason;
  };
}

function report(checkpoint: string, { bytes, files }: Made, out: string | undefined): void {
  const stored = `${counted(files.length, "file")}, ${formatBytes(bytes)}`;
  print(`The weights of checkpoint ${shortId(checkpoint)} are stored: ${stored}.`);
  if (out !== undefined) return print(`They were downloaded into ${out}.`);
  printTable(
    ["FILE", "SIZE", "DOWNLOAD"],
    files.map((file) => [file.name, formatBytes(file.bytes), file.url]),
  );
}

const howToGoOn = (stop: string) =>
  `The rebuild does not stop with this command. To wait for it, give the command again; to stop it: ${stop}`;
