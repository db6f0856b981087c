/** What takes room on disk, in the words that both sides share. */

/**
 * The first ones, up to `AUDIT`, are in the database; the rest are stored files. `BASES` are of base models that workers stored for
 * others; `UNNAMED` is what nothing names any more, and goes after a day.
 */
export const diskUseKinds = [
  "LOGS",
  "METRICS",
  "COMPLETIONS",
  "EVALUATIONS",
  "WEBHOOKS",
  "AUDIT",
  "DATASETS",
  "WEIGHTS",
  "EXPORTS",
  "BASES",
  "UNNAMED",
] as const;
export type DiskUseKind = (typeof diskUseKinds)[number];

export interface DiskUsePart {
  readonly kind: DiskUseKind;
  /** Null for what belongs to no project. */
  readonly projectId: string | null;
  /** Stored files, each once. */
  readonly files: number;
  readonly blobBytes: number;
  readonly databaseBytes: number;
}

export interface DiskUse {
  readonly parts: readonly DiskUsePart[];
  /** Of all these files, each once: the same bytes may be in several parts. */
  readonly blobBytes: number;
  /** Of the whole database; null for one project. */
  readonly databaseBytes: number | null;
}
