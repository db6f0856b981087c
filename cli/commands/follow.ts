/** steplog follow ID: shows the progress of a fine-tune until it has ended. */
import type { Command } from "commander";
import type { FineTune } from "../../client/index.ts";
import { runArgument } from "../completion/names.ts";
import { followToEnd } from "../follow.ts";
import { urlOption } from "../options.ts";
import { withService } from "../remote.ts";
import { runOf } from "../short-ids.ts";
import { csvFile, wandbLines } from "../trackers/lines.ts";
import { mlflowServer } from "../trackers/mlflow.ts";
import { tensorboardFolder } from "../trackers/tensorboard.ts";
import type { OpenTracker } from "../trackers/tracker.ts";

interface FollowOptions {
  readonly url: string;
  readonly log?: string;
  readonly csv?: string;
  readonly tensorboard?: string;
  readonly mlflow?: string;
  readonly wandbJsonl?: string;
  readonly json?: true;
}

export function define(command: Command): void {
  command
    .description("Follow a fine-tune of a running service to its end, and exit with its outcome.")
    .addArgument(runArgument("<id>"))
    .option("--log <file>", "where to write the .steplog of the last checkpoint")
    .option("--csv <file>", "add losses and evaluations to a CSV file")
    .option("--tensorboard <folder>", "add them to event files of TensorBoard")
    .option("--mlflow <url>", "send them to an MLflow server")
    .option("--wandb-jsonl <file>", "add them to a file of JSON lines as Weights & Biases' history has them")
    .addOption(urlOption())
    .option("--json", "print the outcome as one JSON object")
    .addHelpText("after", "\nExample:\n  steplog follow 4f2a91c0")
    .action(follow);
}

async function follow(id: string, { url, ...options }: FollowOptions): Promise<void> {
  const { csv, tensorboard, mlflow, wandbJsonl } = options;
  const trackers = (run: FineTune): OpenTracker[] => [
    ...(csv === undefined ? [] : [csvFile(csv)]),
    ...(tensorboard === undefined ? [] : [tensorboardFolder(tensorboard)]),
    ...(mlflow === undefined ? [] : [mlflowServer(mlflow, run)]),
    ...(wandbJsonl === undefined ? [] : [wandbLines(wandbJsonl)]),
  ];
  await withService(url, async (service) =>
    followToEnd(service, async () => service.client.fineTune(await runOf(service.client, id)), {
      ...options,
      trackers,
    }),
  );
}
