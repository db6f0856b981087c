/**
 * Which words may stand where one is being typed. Commands, options and choices are those of commander's definitions; names
 * come from the service.
 */
import type { Argument, Command, Option } from "commander";
import { namedBy, type Named } from "./names.ts";

export interface Candidate {
  readonly value: string;
  readonly meaning: string;
}

export interface Completions {
  readonly candidates: readonly Candidate[];
  /** Whether the shell is to offer its files. */
  readonly files: boolean;
}

/** Those of a service that the command line names; none where it does not answer soon. */
export type Names = (kind: Named, url: string | undefined) => Promise<readonly Candidate[]>;

/** @param words what stands after `steplog`; the last one is being typed, and may be empty */
export async function completionsOf(program: Command, words: readonly string[], names: Names): Promise<Completions> {
  // Bash gives the sign between an option and its value as a word.
  const typed = (words.at(-1) ?? "").replace(/^=$/u, "");
  const place = placeOf(program, words.slice(0, -1));
  const [, flag, begun] = /^(--[\w-]+)=(.*)$/su.exec(typed) ?? [];
  const given = flag === undefined ? place.option : (optionNamed(place.command, flag) ?? null);
  const found = await (flag === undefined && typed.startsWith("-") && (place.option === null || place.optional)
    ? { candidates: optionsOf(place.command), files: false }
    : valuesAt({ ...place, option: given }, names));
  const start = begun ?? typed;
  const candidates = found.candidates.filter(({ value }) => value.startsWith(start));
  const whole = flag === undefined ? candidates : candidates.map((one) => ({ ...one, value: `${flag}=${one.value}` }));
  return { candidates: whole, files: found.files };
}

interface Place {
  readonly command: Command;
  /** Arguments before it. */
  readonly before: readonly string[];
  /** The option that waits for a value, and whether it has one already or needs none. */
  readonly option: Option | null;
  readonly optional: boolean;
  readonly url: string | undefined;
}

/** Where the next word stands after these. */
function placeOf(program: Command, words: readonly string[]): Place {
  let place: Place = { command: program, before: [], option: null, optional: true, url: undefined };
  for (const word of words.filter((one) => one !== "=")) place = after(place, word);
  return place;
}

function after(place: Place, word: string): Place {
  const { command, before, option } = place;
  if (option && !(place.optional && word.startsWith("-"))) {
    const url = option.long === "--url" ? word : place.url;
    return { ...place, url, option: option.variadic ? option : null, optional: true };
  }
  if (word.startsWith("-") && word !== "-") {
    const found = word.includes("=") ? undefined : optionNamed(command, word);
    const waits = found !== undefined && (found.required || found.optional);
    return { ...place, option: waits ? found : null, optional: !(found?.required ?? false) };
  }
  const within = before.length === 0 ? command.commands.find((one) => one.name() === word) : undefined;
  return within ? { ...place, command: within, option: null } : { ...place, before: [...before, word], option: null };
}

function optionNamed(command: Command, flag: string): Option | undefined {
  return command.options.find(({ long, short }) => long === flag || short === flag);
}

function optionsOf(command: Command): Candidate[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .map(({ long, short, description }) => ({ value: long ?? short ?? "", meaning: description }));
}

async function valuesAt({ command, before, option, url }: Place, names: Names): Promise<Completions> {
  if (option) return valuesOf(option, option.flags, before, async (kind) => names(kind, url));
  const commands = before.length > 0 ? [] : command.createHelp().visibleCommands(command);
  const words = commands.map((one) => ({ value: one.name(), meaning: one.description() }));
  const argument = argumentAt(command, before.length);
  const values = argument && (await valuesOf(argument, argument.name(), before, async (kind) => names(kind, url)));
  return { candidates: [...words, ...(values?.candidates ?? [])], files: values?.files ?? false };
}

function argumentAt({ registeredArguments }: Command, index: number): Argument | undefined {
  const last = registeredArguments.at(-1);
  return registeredArguments[index] ?? (last?.variadic === true ? last : undefined);
}

async function valuesOf(
  one: Argument | Option,
  named: string,
  before: readonly string[],
  names: (kind: Named) => Promise<readonly Candidate[]>,
): Promise<Completions> {
  const choices = (one.argChoices ?? []).map((value) => ({ value, meaning: "" }));
  const kind = namedBy(one, before);
  const known = kind === null ? [] : await names(kind);
  // What a definition calls a file, a folder or a path is one; a dataset may be one.
  return { candidates: [...choices, ...known], files: /file|folder|path|config|what/u.test(named) && !one.argChoices };
}
