/**
 * Turns rows of any fields into prompts and completions. A template has fields of the row in braces, "{text} It was". The
 * completion is a template too, or labels map each value of the label field to a completion, and all are the row's candidates.
 */
import type { InputIssue } from "../schema/errors.ts";
import { listOf, quote } from "./issues.ts";
import type { ChatRow, TextRow } from "./jsonl.ts";

/** A row as its task publishes it. */
export type TaskRow = Readonly<Record<string, unknown>>;

/** The row in the form that Steplog trains, or what is wrong with it. The caller adds the line number. */
export type Converted = { readonly row: TextRow | ChatRow } | { readonly issues: readonly InputIssue[] };

export type Convert = (row: TaskRow) => Converted;

/** The prompt, and either the completion, or labels with their completions. */
export type LabelTemplate = {
  /** With fields in braces; a dot selects a field of an object. */
  readonly prompt: string;
} & (
  | {
      readonly labelField: string;
      /** The completion of each label: {"0": " terrible", "1": " great"}. */
      readonly labels: Readonly<Record<string, string>>;
    }
  | {
      /** With fields in braces, as in the prompt. */
      readonly completion: string;
    }
);

export function byTemplate(template: LabelTemplate): Convert {
  const { prompt } = template;
  if ("completion" in template) {
    return (row) => attempt(() => ({ prompt: fill(prompt, row), completion: fill(template.completion, row) }));
  }
  const { labelField, labels } = template;
  return (row) =>
    attempt(() => {
      const seen = textOf(row, labelField);
      const completion = Object.hasOwn(labels, seen) ? labels[seen] : undefined;
      if (completion === undefined) throw new RowProblem(labelField, unknownLabel(seen, Object.keys(labels)));
      return { prompt: fill(prompt, row), completion, candidates: [...new Set(Object.values(labels))] };
    });
}

export function unknownLabel(seen: string, known: readonly string[]): string {
  const hint = seen === "-1" ? " (hidden test sets have no labels)" : "";
  return `the label ${quote(seen)} is not one of ${listOf(known)}${hint}`;
}

/** What is wrong with a field of a row. */
export class RowProblem extends Error {
  readonly field: string;

  constructor(field: string, message: string) {
    super(message);
    this.field = field;
  }
}

/** Runs `convert` and returns a RowProblem as an issue. */
export function attempt(convert: () => TextRow | ChatRow): Converted {
  try {
    return { row: convert() };
  } catch (error) {
    if (!(error instanceof RowProblem)) throw error;
    return { issues: [{ field: error.field, message: error.message }] };
  }
}

/** The template with the fields of the row filled in. @throws RowProblem for a field that is missing or not text */
export function fill(template: string, row: TaskRow): string {
  return template.replaceAll(/\{([\w.-]+)\}/gu, (_, field: string) => textOf(row, field));
}

/** A field that is text, a number or a boolean, as text. @throws RowProblem */
export function textOf(row: TaskRow, field: string): string {
  const value = valueOf(row, field);
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value === "bigint") return String(value);
  const seen = value === undefined ? `the row has ${listOf(Object.keys(row)) || "no fields"}` : "it is not text";
  throw new RowProblem(field, `the field "${field}" is needed; ${seen}`);
}

/** A field, or one of an object in it; undefined if it is missing or null. */
export function valueOf(row: TaskRow, field: string): unknown {
  const value = field.split(".").reduce<unknown>((outer, part) => {
    return typeof outer === "object" && outer !== null && Object.hasOwn(outer, part) ? (outer as TaskRow)[part] : null;
  }, row);
  return value ?? undefined;
}
