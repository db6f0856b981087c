/** steplog ls [runs | datasets | models | checkpoints RUN | exports RUN | evaluations [RUN] | webhooks] */
import type { Command } from "commander";
import { Argument, InvalidArgumentError, Option } from "commander";
import type { FineTuneFilter, FineTuneSort, FineTuneStatus, MetadataEntryInput } from "../../client/schema-types.ts";
import type { SteplogClient } from "../../client/index.ts";
import { didYouMean } from "../../schema/did-you-mean.ts";
import { SteplogError } from "../../schema/errors.ts";
import { fineTuneStatuses } from "../../schema/states.ts";
import { formatBytes, formatCount } from "../../schema/units.ts";
import { naming } from "../completion/names.ts";
import { listEvaluations } from "../lists/evaluations.ts";
import { listExports } from "../lists/exports.ts";
import { listWebhooks } from "../lists/webhooks.ts";
import {
  listedCheckpoints,
  listedDatasets,
  listedModels,
  listedRuns,
  namedBaseModel,
  type ListedRunsQuery,
} from "../operations.ts";
import { urlOption } from "../options.ts";
import { printTable } from "../output.ts";
import { type Remote, withService } from "../remote.ts";
import {
  bestInWords,
  lossInWords,
  progressInWords,
  statusInWords,
  timeInWords,
  timeLeftInWords,
} from "../runs-in-words.ts";
import {
  type PageOptions,
  type Paging,
  addPageOptions,
  afterOf,
  byShortId,
  largestPage,
  pages,
  printPage,
} from "../pages.ts";
import { idOf, runGone, runOf, shortId } from "../short-ids.ts";

const kinds = ["runs", "datasets", "models", "checkpoints", "exports", "evaluations", "webhooks"] as const;
type Kind = (typeof kinds)[number];
const isOfRun = (what: string | undefined) => what === "checkpoints" || what === "exports" || what === "evaluations";

const sorts = [
  "created",
  "finished",
  "loss",
  "name",
  "score",
  "steps",
] as const satisfies readonly Lowercase<FineTuneSort>[];

interface ListOptions extends PageOptions {
  readonly url: string;
  readonly status?: string[];
  readonly tag?: string[];
  readonly metadata?: MetadataEntryInput[];
  readonly model?: string;
  readonly search?: string;
  readonly sort?: (typeof sorts)[number];
  readonly reverse?: true;
  readonly archived?: true;
  readonly json?: true;
}

export function define(command: Command): void {
  const statuses = fineTuneStatuses.map((status) => status.toLowerCase());
  const described = command
    .description(
      "List the runs of a service, or its datasets, models, evaluations or webhooks, or the checkpoints or exports of a run.",
    )
    .addArgument(new Argument("[what]", "what to list").choices(kinds).default("runs"))
    .addArgument(
      naming(
        new Argument(
          "[run]",
          "of checkpoints, exports and evaluations: the run, by its id, the beginning of it, or its name",
        ),
        ([what]) => (isOfRun(what) ? "run" : null),
      ),
    )
    .addOption(new Option("--status <status...>", "runs with one of these statuses").choices(statuses))
    .option("--tag <tag...>", "runs that have all of these tags")
    .option("--metadata <key=value...>", "runs that have all of these notes", addNote)
    .addOption(naming(new Option("--model <name>", "runs of this base model"), "baseModel"))
    .option("--search <text>", "runs whose name or tag contains this, or whose id begins with it")
    .addOption(new Option("--sort <order>", "order of runs; the default is created, the newest first").choices(sorts))
    .option("--reverse", "from the other end of that order")
    .option("--archived", "archived runs instead of the others");
  addPageOptions(described, "id")
    .addOption(urlOption())
    .option("--json", "print one JSON object: {runs | datasets | ..., totalCount, next}")
    .addHelpText(
      "after",
      "\nExamples:\n  steplog ls --status running queued\n  steplog ls --model demo --sort score --limit 5\n" +
        "  steplog ls checkpoints reviews\n  steplog ls evaluations --all --json",
    )
    .action(list);
}

/** A value may have an = in it, and a key not. */
function addNote(text: string, before: readonly MetadataEntryInput[] = []): MetadataEntryInput[] {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("Give a key and a value: ticket=42");
  return [...before, { key: text.slice(0, at), value: text.slice(at + 1) }];
}

async function list(what: Kind, run: string | undefined, options: ListOptions): Promise<void> {
  refuseMisplaced(what, run, options);
  await withService(options.url, async (service) => {
    if (what === "evaluations") await listEvaluations(service, run, options);
    else if (what === "checkpoints" || what === "exports") await ofRun[what](service, run ?? "", options);
    else await ofService[what](service, options);
  });
}

const ofRun = { checkpoints: listCheckpoints, exports: listExports };
const ofService = { runs: listRuns, datasets: listDatasets, models: listModels, webhooks: listWebhooks };

/** @throws INVALID_ARGUMENT */
function refuseMisplaced(what: Kind, run: string | undefined, options: ListOptions): void {
  const refuse = (message: string) => {
    throw new SteplogError("INVALID_ARGUMENT", message);
  };
  if (isOfRun(what) && what !== "evaluations" && run === undefined) refuse(`Name the run: steplog ls ${what} RUN`);
  if (!isOfRun(what) && run !== undefined)
    refuse(`${JSON.stringify(run)} is one argument too many. To see one run: steplog show ${run}`);
  const ofRuns = ["status", "tag", "metadata", "model", "search", "sort", "reverse", "archived"] as const;
  const misplaced = ofRuns.filter((name) => options[name] !== undefined);
  if (what !== "runs" && misplaced.length > 0) refuse(`--${misplaced.join(", --")} are for runs only. Leave them out.`);
}

async function listRuns({ client }: Remote, options: ListOptions): Promise<void> {
  const { status, tag, metadata, model, search, sort = "created", reverse = false, archived = false } = options;
  const filter: FineTuneFilter = {
    archived,
    ...(status && { statuses: status.map((one) => one.toUpperCase() as FineTuneStatus) }),
    ...(tag && { tags: tag }),
    ...(metadata && { metadata }),
    ...(model !== undefined && { baseModel: model }),
    ...(search !== undefined && { search }),
  };
  const after = await afterOf(options, (given) => runOf(client, given));
  const asked = { filter, sort: sort.toUpperCase() as FineTuneSort, reverse };
  const read = async (page: Paging) => (await client.query(listedRuns, { ...asked, ...page })).fineTunes;
  printPage(await pages(options, after, read), options, {
    noun: "runs",
    nameOf: byShortId,
    none: "There are no such runs. Create one: steplog tune FILE.json",
    printRows: (runs) => printTable(headings, runs.map(cellsOfRun), 1),
  });
}

const headings = ["ID", "NAME", "MODEL", "STATUS", "STEPS", "LEFT", "LOSS", "BEST"];

type Run = ListedRunsQuery["fineTunes"]["nodes"][number];

function cellsOfRun(run: Run): string[] {
  return [
    shortId(run.id),
    run.name,
    run.baseModel.name,
    statusInWords(run),
    progressInWords(run.progress),
    timeLeftInWords(run),
    lossInWords(run.loss),
    bestInWords(run.bestEvaluation),
  ];
}

async function listDatasets({ client }: Remote, options: ListOptions): Promise<void> {
  const after = await afterOf(options, (given) => idOf(client, "DATASET", given));
  const read = async (page: Paging) => (await client.query(listedDatasets, page)).datasets;
  printPage(await pages(options, after, read), options, {
    noun: "datasets",
    nameOf: byShortId,
    none: "There are no datasets. steplog tune and steplog evaluate store the files they name.",
    printRows(datasets) {
      const cells = datasets.map(({ id, name, rows, bytes, createdAt, expiresAt }) => [
        shortId(id),
        name,
        String(rows),
        formatBytes(bytes),
        timeInWords(createdAt),
        timeInWords(expiresAt),
      ]);
      printTable(["ID", "NAME", "ROWS", "SIZE", "CREATED", "ENDS"], cells, 1);
    },
  });
}

async function listModels({ client }: Remote, options: ListOptions): Promise<void> {
  const read = async (page: Paging) => (await client.query(listedModels, page)).baseModels;
  printPage(await pages(options, await afterOf(options, (given) => baseModelOf(client, given)), read), options, {
    noun: "models",
    nameOf: ({ name }) => name,
    none: "There are no models. Add one: steplog model add ORGANISATION/NAME",
    printRows(models) {
      const cells = models.map(({ name, family, parameters, bytes, dtype, contextLength }) => [
        name,
        family,
        formatCount(parameters),
        `${formatBytes(bytes)} of ${dtype}`,
        String(contextLength),
      ]);
      printTable(["NAME", "FAMILY", "PARAMETERS", "SIZE", "CONTEXT"], cells, 0);
    },
  });
}

/** @throws NOT_FOUND */
async function baseModelOf(client: SteplogClient, name: string): Promise<string> {
  const { baseModel } = await client.query(namedBaseModel, { name });
  if (baseModel) return baseModel.id;
  const known = (await client.query(listedModels, { first: largestPage })).baseModels.nodes;
  const hint = didYouMean(
    name,
    known.map((model) => model.name),
  );
  throw new SteplogError(
    "NOT_FOUND",
    `There is no base model ${JSON.stringify(name)}.${hint} List them: steplog ls models`,
  );
}

async function listCheckpoints({ client }: Remote, run: string, options: ListOptions): Promise<void> {
  const id = await runOf(client, run);
  const after = await afterOf(options, (given) => idOf(client, "CHECKPOINT", given));
  const listed = await pages(options, after, async (page) => {
    const { fineTune } = await client.query(listedCheckpoints, { id, ...page });
    if (fineTune) return fineTune.checkpoints;
    throw runGone(run);
  });
  printPage(listed, options, {
    noun: "checkpoints",
    nameOf: byShortId,
    none: "This run has no checkpoints.",
    printRows(checkpoints) {
      const cells = checkpoints.map(({ id: its, step, logBytes, weightsStatus, weightsBytes, aliases, createdAt }) => [
        shortId(its),
        String(step),
        formatBytes(logBytes),
        weightsStatus === "STORED" && weightsBytes !== null ? formatBytes(weightsBytes) : weightsStatus.toLowerCase(),
        aliases.join(", "),
        timeInWords(createdAt),
      ]);
      printTable(["ID", "STEP", "LOG", "WEIGHTS", "ALIASES", "CREATED"], cells, 4);
    },
  });
}
