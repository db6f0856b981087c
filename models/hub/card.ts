/**
 * The card of a pushed model: README.md, with the metadata that the hub reads in front (YAML). It says where the weights come
 * from, so that anybody can rebuild them from the base and the log and compare them.
 */
import type { ModelKind } from "../../schema/model-kind.ts";
import type { StepLogHeader } from "../../schema/step-log.ts";
import { counted } from "../../schema/units.ts";
import type { WeightsForm } from "../../schema/weights-form.ts";

/** The log's name in the repository. */
export const logName = "run.steplog";

export interface CardEvaluation {
  readonly kind: string;
  readonly step: number;
  readonly rows: number;
  readonly loss: number | null;
  readonly accuracy: number | null;
  readonly f1: number | null;
  readonly exactMatch: number | null;
}

export interface Card {
  /** Of the run. */
  readonly name: string;
  readonly base: {
    readonly name: string;
    readonly hash: string;
    readonly family: string;
    /** Its repository on the hub, where that is known. */
    readonly repository: string | null;
  };
  readonly kind: ModelKind;
  readonly step: number;
  readonly entries: number;
  readonly chain: string;
  readonly weightsDigest: string;
  readonly form: WeightsForm;
  readonly header: Pick<StepLogHeader, "noise" | "seed" | "hyperparameters" | "lora" | "prefix">;
  /** At the checkpoint's step, and before the first. */
  readonly evaluations: readonly CardEvaluation[];
}

export function modelCard(card: Card): string {
  return [frontMatter(card), story(card), settings(card), evaluations(card), rebuilding(card)].flat().join("\n");
}

/** Whether the files are an adapter, which is loaded beside its base. */
function isAdapter({ header, form }: Card): boolean {
  return !form.merged && (header.lora ?? header.prefix) !== undefined;
}

function frontMatter(card: Card): string[] {
  const { base, header, kind } = card;
  const method = header.lora ? ["lora"] : header.prefix ? ["prefix-tuning"] : [];
  const relation = isAdapter(card) ? "adapter" : "finetune";
  return [
    "---",
    `library_name: ${isAdapter(card) ? "peft" : "transformers"}`,
    `pipeline_tag: ${kind === "masked" ? "fill-mask" : "text-generation"}`,
    ...(base.repository === null ? [] : [`base_model: ${quoted(base.repository)}`, `base_model_relation: ${relation}`]),
    "tags:",
    ...["steplog", "mezo", "zeroth-order", base.family, ...method].map((tag) => `  - ${quoted(tag)}`),
    "---",
    "",
  ];
}

/** A string of JSON is one of YAML. */
function quoted(text: string): string {
  return JSON.stringify(text);
}

function story(card: Card): string[] {
  const { name, base, step, entries, chain, weightsDigest, form } = card;
  const made = [isAdapter(card) ? "An adapter of" : "Made from", inline(base.repository ?? base.name)].join(" ");
  const changed = [
    ...(form.merged ? ["the adapter is merged into the base"] : []),
    ...(form.dtype === null ? [] : [`all weights are rounded to ${form.dtype}`]),
  ];
  const written = changed.length === 0 ? "as they were trained" : changed.join(", and ");
  return [
    `# ${inline(name)}`,
    "",
    `${made} by ${counted(step, "step")} of MeZO ([arXiv 2305.17333](https://arxiv.org/abs/2305.17333)), which needs forward passes`,
    "only, with Steplog. The weights are written " + written + ".",
    "",
    "| | |",
    "| --- | --- |",
    `| base | ${inline(base.name)} |`,
    `| base hash | \`${base.hash}\` |`,
    `| log | \`${logName}\`, ${counted(entries, "entry", "entries")} |`,
    `| chain hash | \`${chain}\` |`,
    `| weights digest, as trained | \`${weightsDigest}\` |`,
    "",
  ];
}

function settings({ header: { noise, seed, lora, prefix, hyperparameters } }: Card): string[] {
  const rows: (readonly [string, unknown])[] = [
    ...Object.entries(hyperparameters),
    ["noise", noise],
    ["seed", seed],
    ...(lora
      ? ([
          ["LoRA rank", lora.rank],
          ["LoRA alpha", lora.alpha],
        ] as const)
      : []),
    ...(prefix ? ([["prefix length", prefix.length]] as const) : []),
  ];
  const lines = [...new Map(rows)].map(([name, value]) => `| ${inline(name)} | ${inline(String(value))} |`);
  return ["## Settings", "", "| setting | value |", "| --- | --- |", ...lines, ""];
}

function evaluations({ evaluations: all }: Card): string[] {
  if (all.length === 0) return [];
  const row = ({ kind, step, rows, loss, accuracy, f1, exactMatch }: CardEvaluation) =>
    `| ${[kind.toLowerCase().replaceAll("_", " "), step, rows, ...[loss, accuracy, f1, exactMatch].map(figure)].join(" | ")} |`;
  return [
    "## Evaluation",
    "",
    "Step 0 is the base. The loss is in nats per scored token.",
    "",
    "| rows of | step | rows | loss | accuracy | F1 | exact match |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    ...all.map(row),
    "",
  ];
}

function figure(value: number | null): string {
  return value === null ? "" : value.toPrecision(4);
}

function rebuilding(card: Card): string[] {
  const { base, form, weightsDigest } = card;
  const options = [...(form.merged ? ["--merge"] : []), ...(form.dtype === null ? [] : [`--dtype ${form.dtype}`])];
  return [
    "## Rebuilding it",
    "",
    "The log and the base give these weights again, bit for bit:",
    "",
    "```sh",
    ...(base.repository === null ? [] : [`npx steplog model add ${base.repository} --name ${base.name}`]),
    `npx steplog reconstruct --base data/models/${base.name} --log ${logName} --out tuned \\`,
    `  ${[...options, `--digest ${weightsDigest}`, "--verify"].join(" ")}`,
    "```",
    "",
    ...(base.repository === null
      ? [`The base is the one with the base hash above; \`steplog hash FOLDER\` prints it.`, ""]
      : []),
  ];
}

/** Text of a user inside a line of Markdown, in a cell of a table too: nothing of it is markup. */
function inline(text: string): string {
  return text
    .replaceAll(/\s+/gu, " ")
    .trim()
    .replaceAll(/[\\`*_{}[\]()<>#+!|~&-]/gu, String.raw`\$&`);
}
