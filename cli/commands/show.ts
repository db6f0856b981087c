/** steplog show RUN: everything about a run that is worth a line. */
import type { Command } from "commander";
import { defaultsWith } from "../../schema/hyperparameter-defaults.ts";
import { hyperparameterEntries } from "../../schema/hyperparameter-table.ts";
import { adviceFor, type Advice } from "../../schema/advice.ts";
import { formatBytes, formatDuration } from "../../schema/units.ts";
import { runArgument } from "../completion/names.ts";
import { reportFailure } from "../exit.ts";
import { inWords } from "../measured.ts";
import { shownRun, type ShownRunQuery } from "../operations.ts";
import { integer, urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { type Remote, commandFor, withService } from "../remote.ts";
import { lossInWords, progressInWords, statusInWords, timeInWords } from "../runs-in-words.ts";
import { runGone, runOf, shortId } from "../short-ids.ts";
import { coloursOf } from "../terminal.ts";

interface ShowOptions {
  readonly url: string;
  readonly events: number;
  readonly json?: true;
}

export type ShownRun = NonNullable<ShownRunQuery["fineTune"]>;

export function define(command: Command): void {
  command
    .description(
      "Show a run: its state, the settings that differ from the defaults, what it measured, its last events.",
    )
    .addArgument(runArgument())
    .option("--events <number>", "how many of the last events to print", integer(0, 2_000), 5)
    .addOption(urlOption())
    .option("--json", "print the run as one JSON object")
    .addHelpText("after", "\nExample:\n  steplog show 4f2a91c0")
    .action(show);
}

async function show(given: string, { url, events, json }: ShowOptions): Promise<void> {
  await withService(url, async (service) => {
    const { fineTune: run } = await service.client.query(shownRun, { id: await runOf(service.client, given) });
    if (!run) throw runGone(given);
    if (json) return printJson(run);
    const parts = [summary(run), settings(run), measurements(run), checkpoints(run), history(run, events)];
    print(
      parts
        .filter((lines) => lines.length > 0)
        .map((lines) => lines.join("\n"))
        .join("\n\n"),
    );
    if (run.error) showError(run, service);
  });
}

function summary(run: ShownRun): string[] {
  const { bold } = coloursOf();
  const { progress, startedAt, finishedAt, estimatedSecondsLeft, waitingReason, queuePosition } = run;
  const took = startedAt !== null && finishedAt !== null && [`took ${formatDuration(seconds(startedAt, finishedAt))}`];
  const left = estimatedSecondsLeft === null ? [] : [`${formatDuration(estimatedSecondsLeft)} left`];
  const rate = progress.stepsPerSecond === null ? [] : [`${progress.stepsPerSecond.toFixed(1)} steps/s`];
  const state = [statusInWords(run), `step ${progressInWords(progress)}`, ...rate, ...left, ...(took || [])];
  const datasets = [run.dataset, run.validationDataset, run.testDataset].flatMap((one) => (one ? [one.name] : []));
  return [
    `${bold(run.name)}  ${shortId(run.id)}`,
    state.join("   "),
    ...(waitingReason === null ? [] : [waitingReason]),
    ...(queuePosition === null ? [] : [line("before it", `${queuePosition}`)]),
    line(
      "model",
      run.from
        ? `${run.baseModel.name}, from checkpoint ${shortId(run.from.id)} at step ${run.from.step}`
        : run.baseModel.name,
    ),
    line("rows", datasets.join(", ")),
    ...(run.loss === null ? [] : [line("loss", lossInWords(run.loss))]),
    line("created", timeInWords(run.createdAt)),
    ...(run.device === null ? [] : [line("device", run.device)]),
    ...(run.tags.length === 0 ? [] : [line("tags", run.tags.join(", "))]),
    ...run.metadata.map(({ key, value }) => line(key, value)),
    ...(run.archivedAt === null ? [] : [line("archived", timeInWords(run.archivedAt))]),
    ...(run.expiresAt === null ? [] : [line("ends", timeInWords(run.expiresAt))]),
    line("id", run.id),
  ];
}

const line = (name: string, value: string) => `  ${name.padEnd(10)} ${value}`;

const seconds = (from: string, to: string) => (Date.parse(to) - Date.parse(from)) / 1_000;

/** Those that are not what they would be had nobody said anything but the method. */
export function settings({ hyperparameters, pickedRate, labelWords }: ShownRun): string[] {
  const given: Readonly<Record<string, unknown>> = { ...hyperparameters };
  const usual = defaultsWith({ method: given["method"], learningRate: given["learningRate"] });
  const differing = hyperparameterEntries.flatMap(([name]) => {
    const isUsual = JSON.stringify(given[name]) === JSON.stringify(usual[name]) && name !== "steps";
    return isUsual || name === "seed" ? [] : [line(name, asText(given[name]))];
  });
  const picked = pickedRate === null ? [] : [line("AUTO chose", `the learning rate ${pickedRate}`)];
  const words =
    labelWords.length === 0 ? [] : [line("labels", labelWords.map((word) => JSON.stringify(word)).join(" "))];
  return [heading("Settings that differ"), ...differing, line("seed", asText(given["seed"])), ...picked, ...words];
}

const asText = (value: unknown) => (Array.isArray(value) ? value.join(", ") : String(value));

const heading = (text: string) => coloursOf().bold(text);

function measurements({ evaluations, tests, bestEvaluation }: ShownRun): string[] {
  if (evaluations.length + tests.length === 0) return [];
  const { green } = coloursOf();
  const most = 10;
  const shown = evaluations.slice(-most).map((one) => {
    const words = `  step ${String(one.step).padStart(6)}  ${inWords(one, "row")}`;
    return one.step === bestEvaluation?.step ? green(`${words}  best`) : words;
  });
  const earlier = evaluations.length > most ? [`  (the last ${most} of ${evaluations.length})`] : [];
  return [
    heading("Evaluations"),
    ...shown,
    ...earlier,
    ...tests.map((one) => `  test at step ${one.step}  ${inWords(one, "row")}`),
  ];
}

function checkpoints({ checkpoints: { nodes, pageInfo } }: ShownRun): string[] {
  if (nodes.length === 0) return [];
  const rows = nodes.map(({ id, step, logBytes, weightsStatus, aliases }) => {
    const stored = weightsStatus === "STORED" ? ["weights stored"] : [];
    const named = aliases.length > 0 ? [`named ${aliases.join(", ")}`] : [];
    return `  ${[shortId(id), `step ${String(step).padStart(6)}`, `log ${formatBytes(logBytes)}`, ...stored, ...named].join("  ")}`;
  });
  return [heading("Checkpoints"), ...rows, ...(pageInfo.hasNextPage ? ["  (the last 10)"] : [])];
}

function history({ events }: ShownRun, most: number): string[] {
  if (events.length === 0 || most === 0) return [];
  const rows = events.slice(-most).map(({ at, message }) => `  ${timeInWords(at)}  ${message}`);
  return [heading("Last events"), ...rows];
}

/** On stderr, as every error; the run was shown all the same. */
function showError({ error, id }: ShownRun, service: Remote): void {
  if (!error) return;
  print("");
  reportFailure(error);
  const advice = adviceFor(error.code);
  if (advice !== null) print(adviceInWords(advice, commandFor("fork", shortId(id), service)));
}

/** @param fork the command line that forks the run */
function adviceInWords({ words, next }: Advice, fork: string): string {
  const commands: Record<Advice["next"], string | null> = {
    FORK: fork,
    FORK_SLOWER: `${fork} --set learningRate=RATE`,
    COPY: "steplog doctor",
    WORKERS: "steplog device list",
    MODELS: "steplog model add WHAT",
    NONE: null,
  };
  const command = commands[next];
  return command === null ? `${words}.` : `${words}: ${command}`;
}
