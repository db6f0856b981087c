/** What a check of rows says of rows that can be trained. */

/** Their types are those of a run's events. */
export const rowNoteTypes = [
  "ROWS_CUT",
  "ROWS_REPEATED",
  "ROWS_CONTRADICT",
  "ROWS_SHARED",
  "LABEL_WORDS",
  "ONE_CLASS",
] as const;

export interface RowNote {
  readonly type: (typeof rowNoteTypes)[number];
  readonly message: string;
}

export interface RowFindings {
  readonly notes: readonly RowNote[];
  /** The right answer of all rows, if they choose between the same words. */
  readonly oneClass: string | null;
  /** Which rows choose between words, their own or the label words: none, some, or all of them, between the same. */
  readonly choices: Choices;
}

export type Choices = "NONE" | "SOME" | "SAME";
