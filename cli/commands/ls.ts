/** steplog ls [runs | datasets | models | checkpoints RUN] */
import type { Command } from "commander";
import { Argument, Option } from "commander";
import type { FineTuneFilter, FineTuneSort, FineTuneStatus } from "../../client/schema-types.ts";
import { SteplogError } from "../../schema/errors.ts";
import { fineTuneStatuses } from "../../schema/states.ts";
import { formatBytes, formatCount } from "../../schema/units.ts";
import { listedCheckpoints, listedDatasets, listedModels, listedRuns } from "../operations.ts";
import { integer, urlOption } from "../options.ts";
import { print, printJson, printTable } from "../output.ts";
import { type Remote, withService } from "../remote.ts";
import {
  bestInWords,
  lossInWords,
  progressInWords,
  statusInWords,
  timeInWords,
  timeLeftInWords,
} from "../runs-in-words.ts";
import { idOf, partsOf, runOf, shortId } from "../short-ids.ts";

const kinds = ["runs", "datasets", "models", "checkpoints"] as const;
type Kind = (typeof kinds)[number];

const sorts = [
  "created",
  "finished",
  "loss",
  "name",
  "score",
  "steps",
] as const satisfies readonly Lowercase<FineTuneSort>[];

interface ListOptions {
  readonly url: string;
  readonly status?: string[];
  readonly tag?: string[];
  readonly model?: string;
  readonly search?: string;
  readonly sort?: (typeof sorts)[number];
  readonly archived?: true;
  readonly limit: number;
  readonly after?: string;
  readonly all?: true;
  readonly json?: true;
}

export function define(command: Command): void {
  const statuses = fineTuneStatuses.map((status) => status.toLowerCase());
  command
    .description("List the runs of a service, or its datasets, its models, or the checkpoints of a run.")
    .addArgument(new Argument("[what]", "what to list").choices(kinds).default("runs"))
    .argument("[run]", "for checkpoints: the run, by its id, the beginning of it, or its name")
    .addOption(new Option("--status <status...>", "runs with one of these statuses").choices(statuses))
    .option("--tag <tag...>", "runs that have all of these tags")
    .option("--model <name>", "runs of this base model")
    .option("--search <text>", "runs whose name contains this")
    .addOption(new Option("--sort <order>", "order of runs; the default is created, the newest first").choices(sorts))
    .option("--archived", "archived runs instead of the others")
    .option("--limit <number>", "most rows to print", integer(1, 10_000), 20)
    .option("--after <id>", "those after this one: the last that was printed")
    .option("--all", "all rows, however many")
    .addOption(urlOption())
    .option("--json", "print one JSON object: {runs | datasets | models | checkpoints, next}")
    .addHelpText(
      "after",
      "\nExamples:\n  steplog ls --status running queued\n  steplog ls --model demo --sort score --limit 5\n" +
        "  steplog ls checkpoints reviews",
    )
    .action(list);
}

async function list(what: Kind, run: string | undefined, options: ListOptions): Promise<void> {
  refuseMisplaced(what, run, options);
  await withService(options.url, async (service) => {
    if (what === "checkpoints") await listCheckpoints(service, run ?? "", options);
    else await { runs: listRuns, datasets: listDatasets, models: listModels }[what](service, options);
  });
}

/** @throws INVALID_ARGUMENT */
function refuseMisplaced(what: Kind, run: string | undefined, options: ListOptions): void {
  const refuse = (message: string) => {
    throw new SteplogError("INVALID_ARGUMENT", message);
  };
  if (what === "checkpoints" && run === undefined) refuse("Name the run: steplog ls checkpoints RUN");
  if (what !== "checkpoints" && run !== undefined)
    refuse(`${JSON.stringify(run)} is one argument too many. To see one run: steplog show ${run}`);
  const ofRuns = ["status", "tag", "model", "search", "sort", "archived"] as const;
  const misplaced = ofRuns.filter((name) => options[name] !== undefined);
  if (what !== "runs" && misplaced.length > 0) refuse(`--${misplaced.join(", --")} are for runs only. Leave them out.`);
}

async function listRuns({ client }: Remote, options: ListOptions): Promise<void> {
  const { status, tag, model, search, sort = "created", archived = false } = options;
  const filter: FineTuneFilter = {
    archived,
    ...(status && { statuses: status.map((one) => one.toUpperCase() as FineTuneStatus) }),
    ...(tag && { tags: tag }),
    ...(model !== undefined && { baseModel: model }),
    ...(search !== undefined && { name: search }),
  };
  const totals: number[] = [];
  const { rows, next } = await pages(options, await afterOf(options, (given) => runOf(client, given)), async (page) => {
    const variables = { filter, sort: sort.toUpperCase() as FineTuneSort, ...page };
    const { fineTunes } = await client.query(listedRuns, variables);
    totals.push(fineTunes.totalCount);
    return fineTunes;
  });
  if (options.json) return printJson({ runs: rows, totalCount: totals.at(-1) ?? 0, next });
  if (rows.length === 0) return print("There are no such runs. Create one: steplog tune FILE.json");
  const headings = ["ID", "NAME", "MODEL", "STATUS", "STEPS", "LEFT", "LOSS", "BEST"];
  const cells = rows.map((run) => [
    shortId(run.id),
    run.name,
    run.baseModel.name,
    statusInWords(run),
    progressInWords(run.progress),
    timeLeftInWords(run),
    lossInWords(run.loss),
    bestInWords(run.bestEvaluation),
  ]);
  printTable(headings, cells, 1);
  sayMore(rows, next, `of ${totals.at(-1) ?? rows.length} runs`);
}

async function listDatasets({ client }: Remote, options: ListOptions): Promise<void> {
  const after = await afterOf(options, (given) => idOf(client, "DATASET", given));
  const read = async (page: Paging) => (await client.query(listedDatasets, page)).datasets;
  const { rows, next } = await pages(options, after, read);
  if (options.json) return printJson({ datasets: rows, next });
  if (rows.length === 0)
    return print("There are no datasets. steplog tune and steplog evaluate store the files they name.");
  const cells = rows.map(({ id, name, rows: count, bytes, createdAt, expiresAt }) => [
    shortId(id),
    name,
    String(count),
    formatBytes(bytes),
    timeInWords(createdAt),
    timeInWords(expiresAt),
  ]);
  printTable(["ID", "NAME", "ROWS", "SIZE", "CREATED", "ENDS"], cells, 1);
  sayMore(rows, next, "datasets");
}

async function listModels({ client }: Remote, options: ListOptions): Promise<void> {
  const read = async (page: Paging) => (await client.query(listedModels, page)).baseModels;
  const { rows, next } = await pages(options, await afterOf(options, (given) => Promise.resolve(given)), read);
  if (options.json) return printJson({ models: rows, next });
  if (rows.length === 0) return print("There are no models. Add one: steplog model add ORGANISATION/NAME");
  const cells = rows.map(({ name, family, parameters, bytes, dtype, contextLength }) => [
    name,
    family,
    formatCount(parameters),
    `${formatBytes(bytes)} of ${dtype}`,
    String(contextLength),
  ]);
  printTable(["NAME", "FAMILY", "PARAMETERS", "SIZE", "CONTEXT"], cells, 0);
  if (next !== null) print(`\nThere are more: steplog ls models --all`);
}

async function listCheckpoints({ client }: Remote, run: string, options: ListOptions): Promise<void> {
  const id = await runOf(client, run);
  const after = await afterOf(options, (given) => idOf(client, "CHECKPOINT", given));
  const { rows, next } = await pages(options, after, async (page) => {
    const { fineTune } = await client.query(listedCheckpoints, { id, ...page });
    if (fineTune) return fineTune.checkpoints;
    throw new SteplogError("NOT_FOUND", `There is no run ${run} any more.`);
  });
  if (options.json) return printJson({ checkpoints: rows, next });
  if (rows.length === 0) return print("This run has no checkpoints yet.");
  const cells = rows.map(({ id: checkpoint, step, logBytes, weightsStatus, weightsBytes, aliases, createdAt }) => [
    shortId(checkpoint),
    String(step),
    formatBytes(logBytes),
    weightsStatus === "STORED" && weightsBytes !== null ? formatBytes(weightsBytes) : weightsStatus.toLowerCase(),
    aliases.join(", "),
    timeInWords(createdAt),
  ]);
  printTable(["ID", "STEP", "LOG", "WEIGHTS", "ALIASES", "CREATED"], cells, 4);
  sayMore(rows, next, "checkpoints");
}

// Pages

interface Paging {
  readonly first: number;
  readonly after: string | null;
}

interface Connection<Row> {
  readonly nodes: readonly Row[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
}

const largestPage = 100;

/** As many rows as are wanted; `next` is the cursor of the last one if there are more. */
async function pages<Row>(
  { limit, all }: ListOptions,
  start: string | null,
  read: (page: Paging) => Promise<Connection<Row>>,
): Promise<{ rows: Row[]; next: string | null }> {
  const wanted = all ? Number.POSITIVE_INFINITY : limit;
  const rows: Row[] = [];
  for (let after = start; ;) {
    const { nodes, pageInfo } = await read({ first: Math.min(largestPage, wanted - rows.length), after });
    rows.push(...nodes);
    if (!pageInfo.hasNextPage) return { rows, next: null };
    if (rows.length >= wanted) return { rows, next: pageInfo.endCursor };
    after = pageInfo.endCursor;
  }
}

/** A cursor is the UUID of a row. */
async function afterOf({ after }: ListOptions, idFor: (given: string) => Promise<string>): Promise<string | null> {
  if (after === undefined) return null;
  // As `next` of --json gives it.
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/u.test(after)) return after;
  return partsOf(await idFor(after))?.uuid ?? after;
}

function sayMore(rows: readonly { readonly id: string }[], next: string | null, noun: string): void {
  const last = rows.at(-1);
  if (next === null || !last) return;
  print(`\n${rows.length} ${noun}. The next ones: the same with --after ${shortId(last.id)}. All of them: --all`);
}
