/** A run as a file describes it for the command line, which names stored rows by their ids. */
import type { CreateFineTuneInput } from "../../../client/schema-types.ts";
import { baseUrl } from "../base.ts";
import { quoted } from "../parts/commands.ts";

/** The command reads a file. */
export function commandOf(input: CreateFineTuneInput): string {
  const file = JSON.stringify(fileOf(input), null, 2);
  return `printf %s ${quoted(file)} > fine-tune.json\nnpx steplog tune fine-tune.json --url ${baseUrl}`;
}

export function fileOf({ dataset, validationDataset, testDataset, ...rest }: CreateFineTuneInput): object {
  const rows = Object.entries({ dataset, validationDataset, testDataset }).flatMap(([name, id]) =>
    id == null ? [] : [[name, { id }] as const],
  );
  return { ...rest, ...Object.fromEntries(rows) };
}
