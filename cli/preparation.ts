/** Options that say how rows are prepared, for the commands that read rows of any format. */
import { didYouMean } from "../schema/did-you-mean.ts";
import type { Command } from "commander";
import { InvalidArgumentError, Option } from "commander";
import type { Preparation } from "../dataset/prepare.ts";
import type { PresetName } from "../dataset/presets.ts";
import { presetNames } from "../dataset/presets.ts";
import type { LabelTemplate } from "../dataset/template.ts";
import { SteplogError } from "../schema/errors.ts";

export interface FormatOptions {
  readonly preset?: PresetName;
  readonly template?: string;
  readonly completion?: string;
  readonly labelField: string;
  /** JSON: {"0": " terrible", "1": " great"} */
  readonly labels?: Readonly<Record<string, string>>;
}

export function addFormatOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--preset <task>", "the task or format that the rows belong to")
        .choices(presetNames)
        .argParser(presetNamed),
    )
    .option("--template <text>", 'for other rows: a prompt with fields in braces, such as "{text} It was"')
    .option("--completion <text>", 'with --template: the completion, with fields in braces, such as " {answer}"')
    .option("--label-field <name>", "with --template: the field that holds the label", "label")
    .addOption(
      new Option(
        "--labels <json>",
        'with --template: the completion for each label, {"0": " bad", "1": " good"}',
      ).argParser(labelsOf),
    );
}

/** The format that the options name; null for rows as Steplog trains them. @throws INVALID_ARGUMENT */
export function formatOf(options: FormatOptions): Pick<Preparation, "preset" | "template"> | null {
  const { preset, template } = options;
  if (preset && template !== undefined) throw usage("Give --preset or --template, not both.");
  if (preset) return { preset };
  return template === undefined ? null : { template: templateOf(template, options) };
}

function templateOf(prompt: string, { labelField, labels, completion }: FormatOptions): LabelTemplate {
  if (labels && completion === undefined) return { prompt, labelField, labels };
  if (completion !== undefined && !labels) return { prompt, completion };
  throw usage("--template needs --labels or --completion, one of them.");
}

function presetNamed(text: string): PresetName {
  const name = presetNames.find((known) => known === text.toUpperCase());
  if (name) return name;
  throw new InvalidArgumentError(`The presets are ${presetNames.join(", ")}.${didYouMean(text, presetNames)}`);
}

function labelsOf(text: string): Record<string, string> {
  try {
    const value: unknown = JSON.parse(text);
    const texts = typeof value === "object" && value !== null ? Object.entries(value) : [];
    if (texts.length >= 2 && texts.every(([, word]) => typeof word === "string"))
      return value as Record<string, string>;
  } catch {
    // Reported below.
  }
  throw new InvalidArgumentError('Give a JSON object of two or more labels: {"0": " bad", "1": " good"}.');
}

function usage(message: string): SteplogError {
  return new SteplogError("INVALID_ARGUMENT", message);
}
