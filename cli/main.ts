/**
 * The steplog command. Each subcommand is a file of cli/commands that describes itself in `define`; it is loaded when the
 * command line names it, so that a command loads only what it needs.
 */
import { type Argument, Command, CommanderError, InvalidArgumentError, type Option } from "commander";
import { didYouMean } from "../schema/did-you-mean.ts";
import { version } from "../schema/package.ts";
import { tabArgument } from "./completion/scripts.ts";
import { reportError, reportUsage } from "./exit.ts";
import { beQuiet } from "./output.ts";

interface CommandFile {
  /** Adds arguments, options, examples and the action. */
  define(command: Command): void;
}

/** Name, what `steplog --help` says, and the file. */
const commands: readonly (readonly [name: string, description: string, load: () => Promise<CommandFile>])[] = [
  ["start", "run the whole service on this machine, on port 4000 (--port)", () => import("./commands/start.ts")],
  ["server", "run the gateway alone, against DATABASE_URL", () => import("./commands/server.ts")],
  ["worker", "run a worker alone, against DATABASE_URL", () => import("./commands/worker.ts")],
  ["migrate", "bring the tables of DATABASE_URL up to date", () => import("./commands/migrate.ts")],
  ["queue", "show what waits and what runs, by what it needs", () => import("./commands/queue.ts")],
  ["sweep", "delete stored files that nothing names any more (--dry-run)", () => import("./commands/sweep.ts")],
  ["disk", "show what takes room on disk, by project and kind", () => import("./commands/disk.ts")],
  ["scale", "start as many workers as there is work for, by Slurm (--slurm)", () => import("./commands/scale.ts")],
  ["doctor", "look at what a service needs on this machine", () => import("./commands/doctor.ts")],
  ["demo", "train the demo model, rebuild it from its log and compare every byte", () => import("./commands/demo.ts")],
  ["tune", "create a fine-tune from a settings file and follow it to its end", () => import("./commands/tune.ts")],
  ["ls", "list runs, datasets, models or checkpoints", () => import("./commands/ls.ts")],
  ["show", "show a run: state, settings, evaluations, checkpoints, events", () => import("./commands/show.ts")],
  ["follow", "follow a fine-tune to its end", () => import("./commands/follow.ts")],
  ["watch", "watch a fine-tune in the terminal, with a chart of its losses", () => import("./commands/watch.ts")],
  ["cancel", "stop a fine-tune after its current step", () => import("./commands/cancel.ts")],
  ["pause", "stop a fine-tune after its current step, until it is resumed", () => import("./commands/pause.ts")],
  ["resume", "continue a paused fine-tune", () => import("./commands/resume.ts")],
  ["update", "change the name, tags, priority or end of a run, or archive it", () => import("./commands/update.ts")],
  ["fork", "create a run from a checkpoint of another", () => import("./commands/fork.ts")],
  ["rebuild", "have a service rebuild the weights of a checkpoint", () => import("./commands/rebuild.ts")],
  [
    "delete",
    "delete a run, a checkpoint, weights, a dataset, an evaluation or a sweep",
    () => import("./commands/delete.ts"),
  ],
  ["expire", "say when a run, a checkpoint, a dataset or an evaluation ends", () => import("./commands/expire.ts")],
  ["continue", "train a finished fine-tune for more steps", () => import("./commands/continue.ts")],
  ["sweeps create", "queue runs with several settings, to find the best", () => import("./commands/sweeps-create.ts")],
  ["sweeps ls", "list the sweeps", () => import("./commands/sweeps-ls.ts")],
  ["sweeps show", "show the runs of a sweep, the best first", () => import("./commands/sweeps-show.ts")],
  ["sweeps cancel", "stop the runs of a sweep", () => import("./commands/sweeps-cancel.ts")],
  ["complete", "ask a model of the service to write, or to choose a label", () => import("./commands/complete.ts")],
  ["chat", "talk to a model of the service", () => import("./commands/chat.ts")],
  ["evaluate", "measure a model of the service on a dataset", () => import("./commands/evaluate.ts")],
  ["alias set", "point an alias at a model", () => import("./commands/alias-set.ts")],
  ["alias list", "list the aliases", () => import("./commands/alias-list.ts")],
  ["alias back", "point an alias to where it pointed before", () => import("./commands/alias-back.ts")],
  ["alias remove", "remove an alias", () => import("./commands/alias-remove.ts")],
  ["projects create", "create a project", () => import("./commands/projects-create.ts")],
  ["projects list", "list the projects", () => import("./commands/projects-list.ts")],
  [
    "projects set",
    "say how long a project keeps things, and how much it may use",
    () => import("./commands/projects-set.ts"),
  ],
  ["projects rename", "give a project another name", () => import("./commands/projects-rename.ts")],
  ["projects export", "write everything that a project has", () => import("./commands/projects-export.ts")],
  ["projects erase", "erase a project", () => import("./commands/projects-erase.ts")],
  ["keys create", "make an API key for a project", () => import("./commands/keys-create.ts")],
  ["keys list", "list the API keys of a project", () => import("./commands/keys-list.ts")],
  ["keys rotate", "make a key in the place of another", () => import("./commands/keys-rotate.ts")],
  ["keys rename", "give an API key another name", () => import("./commands/keys-rename.ts")],
  ["keys revoke", "end an API key at once", () => import("./commands/keys-revoke.ts")],
  ["keys delete", "delete an API key that has ended", () => import("./commands/keys-delete.ts")],
  ["webhooks ls", "list the webhooks of a project, and whether they work", () => import("./commands/webhooks-ls.ts")],
  ["webhooks create", "have changes in a project told to an address", () => import("./commands/webhooks-create.ts")],
  ["webhooks change", "change, enable or disable a webhook", () => import("./commands/webhooks-change.ts")],
  ["webhooks test", "send a test to a webhook, and say what answered", () => import("./commands/webhooks-test.ts")],
  ["webhooks secret", "give a webhook a new secret", () => import("./commands/webhooks-secret.ts")],
  ["webhooks deliveries", "list what was sent to a webhook", () => import("./commands/webhooks-deliveries.ts")],
  ["webhooks replay", "send messages to a webhook again", () => import("./commands/webhooks-replay.ts")],
  ["webhooks delete", "delete a webhook", () => import("./commands/webhooks-delete.ts")],
  ["audit", "print who did what in a service", () => import("./commands/audit.ts")],
  ["completion", "print what a shell reads to complete this command", () => import("./commands/completion.ts")],
  ["documents", "make the file of persisted documents from .graphql files", () => import("./commands/documents.ts")],
  ["dataset", "convert the published rows of a task into datasets", () => import("./commands/dataset.ts")],
  ["preview", "show rows of a file as a model sees them", () => import("./commands/preview.ts")],
  ["log", "verify a .steplog file and print what it contains", () => import("./commands/log.ts")],
  ["reconstruct", "rebuild a fine-tuned model from its base and its log", () => import("./commands/reconstruct.ts")],
  ["hash", "print the base hash of a model folder", () => import("./commands/hash.ts")],
  ["model add", "add a model from a folder or from the Hugging Face hub", () => import("./commands/model-add.ts")],
  ["model list", "list the models folder", () => import("./commands/model-list.ts")],
  ["model remove", "delete a model, unless fine-tunes need it", () => import("./commands/model-remove.ts")],
  [
    "model push",
    "send a checkpoint, its log and a card to the Hugging Face hub",
    () => import("./commands/model-push.ts"),
  ],
  ["device install", "install TensorFlow for tfjs-tensorflow", () => import("./commands/device-install.ts")],
  ["device list", "show every device, and why one does not open", () => import("./commands/device-list.ts")],
  ["device remove", "delete an installed device", () => import("./commands/device-remove.ts")],
  ["score", "compute the loss of each row of a file under a model", () => import("./commands/score.ts")],
  ["generate", "continue a prompt, greedily or by sampling", () => import("./commands/generate.ts")],
  ["init", "write a model with random weights, for benchmarks and tests", () => import("./commands/init.ts")],
];

/** Of the words that begin several commands. */
const groupDescriptions: Readonly<Record<string, string>> = {
  model: "manage the models folder (STEPLOG_MODELS): the models that can be fine-tuned",
  projects: "manage the projects of a service",
  keys: "manage the API keys of a service",
  alias: "manage the names by which requests call a model of the service",
  sweeps: "try several settings: runs over a grid or a list of values",
  webhooks: "manage who is told of changes in a project",
  device: "manage the compute devices of this machine, those to install too (STEPLOG_DEVICES)",
};

const examples = `
Examples:
  steplog start                                         run the whole service until Ctrl-C
  steplog model add facebook/opt-125m                   add a model from the hub
  steplog device install tfjs-gpu                       compute on an NVIDIA GPU
  steplog tune fine-tune.json                           create a fine-tune, follow it, exit with its outcome
  steplog complete --model demo --prompt "It was"       ask a model of the service
  steplog log run.steplog --json                        print what a log contains
  steplog reconstruct --base BASE --log run.steplog --out TUNED
  steplog score --model TUNED --data rows.jsonl --json
  steplog generate --model TUNED --prompt "Once" --max-tokens 20

steplog COMMAND --help describes the options of a command.

Exit codes: 0 success, 1 a fault in Steplog, 2 wrong usage, 3 input refused, 4 the fine-tune failed, 5 it was cancelled,
6 it succeeded, but a tracker lacks some of what was measured, 130 interrupted, 141 nobody reads the output any more. With --json, an error is one JSON object on stdout: {"error": {code, message, issues}}.
`;

/** Runs the command line and sets the exit code of the process. */
export async function main(args: readonly string[]): Promise<void> {
  const json = args.includes("--json");
  const [first, ...words] = args;
  if (first === tabArgument) {
    const { answerTab } = await import("./completion/answer.ts");
    return answerTab(await build((name) => names(words, name)), words);
  }
  try {
    const program = await build((name) => names(args, name));
    await program.parseAsync([...args], { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode !== 0) reportUsage(error.message, json);
      return;
    }
    reportError(error, json);
  }
}

/** Whether the command line is for the command `name`, or asks for its help. */
function names(args: readonly string[], name: string): boolean {
  const words = args.filter((arg) => !arg.startsWith("-"));
  if (words[0] === "help") words.shift();
  return name.split(" ").every((word, index) => words[index] === word);
}

/** The program, in which the commands that `wanted` selects are complete and the others have only name and description. */
export async function build(wanted: (name: string) => boolean): Promise<Command> {
  const program = new Command("steplog")
    .description(
      "Fine-tune language models with forward passes only, and rebuild them from logs of two bytes per step.",
    )
    .version(version)
    .addHelpText("after", examples);
  prepare(program, "steplog");
  for (const [path, description, load] of commands) {
    const [group, name] = path.split(" ");
    const parent = name === undefined ? program : groupNamed(program, group ?? "");
    const command = prepare(parent.command(name ?? path).description(description), `steplog ${path}`);
    if (!wanted(path)) continue;
    (await load()).define(command);
    for (const one of [...command.options, ...command.registeredArguments]) hintAtChoices(one);
    addQuiet(command);
  }
  return program;
}

/** Commander hints at commands and options that are mistyped, but not at values. */
function hintAtChoices(one: Option | Argument): void {
  const { argChoices, parseArg } = one;
  if (!argChoices || !parseArg) return;
  one.argParser((given: string, before: unknown) => {
    try {
      return parseArg(given, before);
    } catch (error) {
      if (!(error instanceof InvalidArgumentError)) throw error;
      const hint = error.message.includes("Did you mean") ? "" : didYouMean(given, argChoices);
      throw new InvalidArgumentError(`${error.message}${hint}`);
    }
  });
}

/** Where programs are answered, by --json, they may want nothing else. */
function addQuiet(command: Command): void {
  if (!command.options.some(({ long }) => long === "--json")) return;
  command
    .option("--quiet", "print results and errors only, not how far it is or why it waits")
    .hook("preAction", () => {
      beQuiet(command.opts<{ readonly quiet?: true }>().quiet ?? false);
      // Commands pass on what they were given, and this is not for them.
      command.setOptionValue("quiet", undefined);
    });
}

function groupNamed(program: Command, name: string): Command {
  const known = program.commands.find((command) => command.name() === name);
  return known ?? prepare(program.command(name).description(groupDescriptions[name] ?? ""), `steplog ${name}`);
}

/** Wrong usage is thrown, and names the help that describes the right one. */
function prepare(command: Command, path: string): Command {
  return command.exitOverride().showHelpAfterError(`(${path} --help describes the usage)`);
}
