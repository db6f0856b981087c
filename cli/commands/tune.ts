/**
 * steplog tune FILE.json: creates the fine-tune that a settings file describes, on a running service, and follows it; or, with
 * --dry-run, says what it would take.
 */
import { basename, dirname, resolve } from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import { contentKey } from "../content-key.ts";
import { printEstimate } from "../estimate.ts";
import { readUserJson } from "../files.ts";
import { followToEnd } from "../follow.ts";
import { urlOption } from "../options.ts";
import { withService } from "../remote.ts";
import { datasetKey, parseFile, requireDatasets, rowsApart, runFields, storedDatasets } from "../run-file.ts";

const settingsSchema = z.strictObject({
  ...runFields,
  idempotencyKey: z.string().optional(),
  /** Where to write the .steplog of the last checkpoint. */
  log: z.string().optional(),
});

export function define(command: Command): void {
  command
    .description(
      "Create the fine-tune that a file describes on a running service, follow it, and exit with its outcome.",
    )
    .argument("<file.json>", "settings; docs/CLI.md lists the fields")
    .option("--key <text>", "idempotency key: running the same file with the same key again follows the first run")
    .option("--dry-run", "create no fine-tune; show what it would take, and everything that would be refused")
    .addOption(urlOption())
    .option("--json", "print the outcome as one JSON object instead of progress")
    .addHelpText("after", "\nExample:\n  steplog tune fine-tune.json --url http://127.0.0.1:4000")
    .action(tune);
}

interface TuneOptions {
  readonly url: string;
  readonly key?: string;
  readonly json?: true;
  readonly dryRun?: true;
}

async function tune(file: string, { url, key, dryRun, ...options }: TuneOptions): Promise<void> {
  const given = parseFile(settingsSchema, { file, value: await readUserJson(file), what: "a fine-tune" });
  const { log, name = basename(file, ".json"), ...rest } = given;
  const [rows, settings] = rowsApart(rest);
  const input = { ...settings, name, ...(key !== undefined && { idempotencyKey: key }) };
  const here = dirname(resolve(file));
  // Before the first of them is uploaded.
  await requireDatasets(rows, here);
  const output = { ...options, ...(log !== undefined && { log: resolve(here, log) }) };
  await withService(url, async (service) => {
    if (dryRun) {
      const ids = await storedDatasets(service.client, rows, { here, keyOf: (_role, path) => contentKey(path) });
      printEstimate(await service.client.estimateFineTune({ ...input, ...ids }), ids, options.json ?? false);
      return;
    }
    const create = async () => {
      const ids = await storedDatasets(service.client, rows, {
        here,
        keyOf: (role) => datasetKey(role, input.idempotencyKey),
      });
      return service.client.createFineTune({ ...input, ...ids });
    };
    await followToEnd(service, create, output);
  });
}
