/** steplog fork RUN [--at STEP] [--set SETTING=VALUE...]: a run that starts from a checkpoint of another, and differs. */
import { didYouMean } from "../../schema/did-you-mean.ts";
import type { Command } from "commander";
import type { SteplogClient } from "../../client/index.ts";
import type { HyperparametersInput } from "../../client/schema-types.ts";
import { SteplogError } from "../../schema/errors.ts";
import { hyperparameterEntries } from "../../schema/hyperparameter-table.ts";
import type { Setting } from "../../schema/setting.ts";
import { runArgument } from "../completion/names.ts";
import { followToEnd } from "../follow.ts";
import { listedCheckpoints } from "../operations.ts";
import { integer, urlOption } from "../options.ts";
import { eachPage, type Paging } from "../pages.ts";
import { withService } from "../remote.ts";
import { runOf, shortId } from "../short-ids.ts";

interface ForkOptions {
  readonly url: string;
  readonly at?: number;
  readonly set?: string[];
  readonly name?: string;
  readonly key?: string;
  readonly log?: string;
  readonly json?: true;
}

export function define(command: Command): void {
  command
    .description(
      "Create a run from a checkpoint of another, with its rows and settings but for those named; follow it.",
    )
    .addArgument(runArgument())
    .option(
      "--at <step>",
      "the checkpoint at this step; the default is the last one",
      integer(1, Number.MAX_SAFE_INTEGER),
    )
    .option("--set <setting=value...>", "settings that are to differ, such as learningRate=1e-6")
    .option("--name <name>", "name of the new run; the default is that of the other")
    .option("--key <text>", "idempotency key: the same command with the same key follows the first run")
    .option("--log <file>", "where to write the .steplog of the last checkpoint")
    .addOption(urlOption())
    .option("--json", "print the outcome as one JSON object")
    .addHelpText("after", "\nExample:\n  steplog fork 4f2a91c0 --at 400 --set learningRate=1e-6 steps=1000")
    .action(fork);
}

async function fork(given: string, { url, at, set = [], name, key, ...options }: ForkOptions): Promise<void> {
  const hyperparameters = settingsOf(set);
  await withService(url, async (service) => {
    const { client } = service;
    const create = async () => {
      const run = await client.fineTune(await runOf(client, given));
      const from = await checkpointAt(client, run.id, at);
      const once = key !== undefined && { idempotencyKey: key };
      return client.createFineTune({ name: name ?? run.name, from, hyperparameters, ...once });
    };
    await followToEnd(service, create, options);
  });
}

/** @throws NOT_FOUND with the steps that have one */
async function checkpointAt(client: SteplogClient, run: string, step: number | undefined): Promise<string> {
  const read = async (page: Paging) => {
    const { fineTune } = await client.query(listedCheckpoints, { id: run, ...page });
    return fineTune?.checkpoints ?? { nodes: [], pageInfo: { hasNextPage: false, endCursor: null } };
  };
  const steps: number[] = [];
  for await (const { rows } of eachPage({ limit: step === undefined ? 1 : Infinity }, null, read)) {
    const found = step === undefined ? rows[0] : rows.find((one) => one.step === step);
    if (found) return found.id;
    steps.push(...rows.map((one) => one.step));
  }
  throw noCheckpoint(run, step ?? 0, steps);
}

/** As many steps are named as can be read. */
const mostNamed = 20;

function noCheckpoint(run: string, step: number, there: readonly number[]): SteplogError {
  if (there.length === 0) return new SteplogError("INVALID_STATE", `The run ${shortId(run)} has no checkpoint.`);
  const nearest = there.toSorted((a, b) => Math.abs(a - step) - Math.abs(b - step)).slice(0, mostNamed);
  const steps = nearest.toSorted((a, b) => b - a).join(", ");
  const known = there.length > mostNamed ? `The nearest are at ${steps}.` : `There are some at ${steps}.`;
  return new SteplogError("NOT_FOUND", `There is no checkpoint at step ${step}. ${known}`);
}

/** As the API takes them. @throws INVALID_ARGUMENT naming what is no setting */
export function settingsOf(given: readonly string[]): HyperparametersInput {
  const known = new Map<string, Setting>(hyperparameterEntries);
  return Object.fromEntries(
    given.map((text) => {
      const [, name = "", value = ""] = /^([^=]+)=(.*)$/su.exec(text) ?? [];
      const one = known.get(name);
      if (one) return [name, valueOf(one, value)];
      const names = [...known.keys()].join(", ");
      throw new SteplogError(
        "INVALID_ARGUMENT",
        `--set ${text} names no setting.${didYouMean(name, known.keys())} Write NAME=VALUE. There are ${names}.`,
      );
    }),
  );
}

/** The service checks the range. */
function valueOf(one: Setting, text: string): unknown {
  if (one.type === "names") return text === "" ? [] : text.split(",");
  if (one.type === "switch") return text === "true" || (text === "false" ? false : text);
  if (one.type === "choice") return text.toUpperCase();
  if (text.toUpperCase() === "AUTO") return "AUTO";
  return text.trim() === "" || Number.isNaN(Number(text)) ? text : Number(text);
}
