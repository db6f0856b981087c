/** The Dockerfile as plain data: stages, and their steps in order. */
import { DockerfileParser, ModifiableInstruction, PropertyInstruction, type Instruction } from "dockerfile-ast";

export interface Step {
  /** Of its first character, from 1. */
  readonly line: number;
  /** In capitals. */
  readonly keyword: string;
  readonly flags: readonly { readonly name: string; readonly value: string }[];
  /** What follows keyword and flags, on one line and without comments. */
  readonly text: string;
  /** In JSON form (`CMD ["a", "b"]`): its words. */
  readonly words: readonly string[] | null;
  /** Of ENV and LABEL. */
  readonly pairs: readonly (readonly [string, string])[];
  /** Rules that a comment on the line above switches off, as hadolint reads it, and why. */
  readonly ignored: { readonly rules: readonly string[]; readonly reason: string };
}

export interface Stage {
  readonly name: string;
  /** An image, or the name of an earlier stage. */
  readonly base: string;
  readonly line: number;
  readonly steps: readonly Step[];
}

const pragma = /^hadolint\s+ignore\s*=\s*(?<rules>[A-Z0-9,\s]+?)\s*(?:#\s*(?<reason>.*))?$/u;

/** @throws Error for a stage without a name, or a step before the first FROM */
export function readDockerfile(source: string): Stage[] {
  const parsed = DockerfileParser.parse(source);
  const comments = new Map(parsed.getComments().map((found) => [found.getRange().start.line, found.getContent()]));
  const stages: { name: string; base: string; line: number; steps: Step[] }[] = [];
  for (const instruction of parsed.getInstructions()) {
    const step = readStep(source, instruction, comments);
    if (step.keyword === "FROM") stages.push({ ...readFrom(step), steps: [] });
    else if (stages.length === 0) throw new Error(`Dockerfile:${step.line}: ${step.keyword} comes before FROM.`);
    else stages.at(-1)?.steps.push(step);
  }
  return stages;
}

function readFrom({ text, line }: Step): { name: string; base: string; line: number } {
  const { base, name } = /^(?<base>\S+)\s+AS\s+(?<name>\S+)$/iu.exec(text)?.groups ?? {};
  if (base === undefined || name === undefined) throw new Error(`Dockerfile:${line}: give the stage a name (AS).`);
  return { name, base, line };
}

function readStep(source: string, instruction: Instruction, comments: ReadonlyMap<number, string>): Step {
  const from = instruction.getRange().start.line;
  const { rules = "", reason = "" } = pragma.exec(comments.get(from - 1) ?? "")?.groups ?? {};
  const flags = instruction instanceof ModifiableInstruction ? instruction.getFlags() : [];
  const text = textOf(source, instruction, flags.at(-1)?.getRange().end);
  return {
    line: from + 1,
    keyword: instruction.getKeyword(),
    flags: flags.map((flag) => ({ name: flag.getName(), value: flag.getValue() ?? "" })),
    text,
    words: text.startsWith("[") ? (JSON.parse(text) as string[]) : null,
    pairs:
      instruction instanceof PropertyInstruction
        ? instruction.getProperties().map((pair) => [pair.getName(), pair.getValue() ?? ""] as const)
        : [],
    ignored: { rules: rules.split(",").flatMap((rule) => rule.trim() || []), reason },
  };
}

interface Position {
  readonly line: number;
  readonly character: number;
}

function textOf(source: string, instruction: Instruction, afterFlags: Position | undefined): string {
  const { end } = instruction.getRange();
  const { line, character } = afterFlags ?? instruction.getInstructionRange().end;
  const lines = source.split("\n").slice(line, end.line + 1);
  lines[lines.length - 1] = lines.at(-1)?.slice(0, end.character) ?? "";
  lines[0] = lines[0]?.slice(character) ?? "";
  return lines
    .filter((each) => !/^\s*#/u.test(each))
    .map((each) => each.replace(/\\\s*$/u, " ").trim())
    .join(" ")
    .trim();
}

/** A stage's steps after those of the stages that it starts from, and the image at their root. */
export function wholeStage(stages: readonly Stage[], name: string): { image: string; steps: readonly Step[] } {
  const stage = stages.find((each) => each.name === name);
  if (stage === undefined) return { image: name, steps: [] };
  const { image, steps } = wholeStage(stages, stage.base);
  return { image, steps: [...steps, ...stage.steps] };
}

/** The commands of a RUN in shell form, one after the other; what is between quotes is not looked into. */
export function commandsOf({ text }: Step): string[][] {
  return text.split(/&&|\|\||[;|]/u).map((command) => command.trim().split(/\s+/u));
}
