/** What is wrong with a dataset, by line and field: bounded in number and length, however large the file. */
import type { InputIssue } from "../schema/errors.ts";
import { SteplogError } from "../schema/errors.ts";
import { limits } from "../schema/limits.ts";
import { counted } from "../schema/units.ts";

/** What a list of issues is about: "1 line cannot be used", "2 rows do not fit the model". */
export interface Subject {
  readonly noun: string;
  readonly singular: string;
  readonly plural: string;
}

export const unusableLines: Subject = { noun: "line", singular: "cannot be used", plural: "cannot be used" };
export const unfittingRows: Subject = {
  noun: "row",
  singular: "does not fit the model",
  plural: "do not fit the model",
};
export const unconvertedRows: Subject = {
  noun: "row",
  singular: "cannot be converted",
  plural: "cannot be converted",
};

/** Collects what is wrong with rows (or lines): keeps the first issues and counts the rows, whatever number of issues they have. */
export class IssueList {
  readonly #kept: InputIssue[] = [];
  #rows = 0;
  #dropped = false;

  /** The first issues. */
  get list(): readonly InputIssue[] {
    return this.#kept;
  }

  /** All issues of one row; none for a row that is fine. */
  addRow(issues: readonly InputIssue[]): void {
    if (issues.length > 0) this.#rows += 1;
    for (const issue of issues) {
      if (this.#kept.length < limits.issuesReported) this.#kept.push(shortened(issue));
      else this.#dropped = true;
    }
  }

  /** @throws DATASET_INVALID that counts the rows and tells the first issue, if there are any */
  throwIfAny({ noun, singular, plural }: Subject): void {
    const [first] = this.#kept;
    if (!first) return;
    const shown = this.#dropped ? `; the first ${this.#kept.length} problems are listed` : "";
    const where = first.line === undefined ? "" : `line ${first.line}: `;
    const count = `${counted(this.#rows, noun)} ${this.#rows === 1 ? singular : plural}`;
    throw invalid(`${count}${shown}. First, ${where}${first.message}.`, this.#kept);
  }
}

export function invalid(message: string, issues: readonly InputIssue[] = [], options?: ErrorOptions): SteplogError {
  return new SteplogError("DATASET_INVALID", message, issues, options);
}

/** Characters of a row, and of a whole message, that are quoted. */
const quoted = 80;
const longestMessage = 500;

/** The beginning of a text, as JSON. */
export function quote(text: string): string {
  return JSON.stringify(shorten(text, quoted));
}

export function shorten(text: string, length = longestMessage): string {
  return text.length <= length ? text : `${text.slice(0, length).toWellFormed().trimEnd()}…`;
}

/** Texts with commas between them: the first ones, and how many more there are. */
export function listOf(texts: readonly string[], most = 20): string {
  const more = texts.length > most ? ` and ${texts.length - most} more` : "";
  return `${texts
    .slice(0, most)
    .map((text) => shorten(text, quoted))
    .join(", ")}${more}`;
}

function shortened(issue: InputIssue): InputIssue {
  const { field, message } = issue;
  return { ...issue, ...(field !== undefined && { field: shorten(field) }), message: shorten(message) };
}
