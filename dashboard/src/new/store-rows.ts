/** Stores own rows as datasets, one for each part of the split. */
import { SteplogError, type StoredDataset } from "../../../client/browser.ts";
import { change } from "../api/query.ts";
import { uploadDataset } from "../api/upload.ts";
import type { Issue } from "../api/failure.ts";
import { isSplit, type Draft, type StoredPart } from "./draft.ts";
import { discardRows } from "./operations.ts";
import { linesOf, split, type Part, type Rows, type Shares } from "./split.ts";

/**
 * Larger files are not split in the page: it would need several times their bytes in memory, and stand still for seconds while
 * it reads CSV.
 */
export const largestSplit = { JSONL: 64 * 1024 ** 2, CSV: 8 * 1024 ** 2, PARQUET: 16 * 1024 ** 2 } as const;

export const rowsOf = ({ file, text }: Pick<Draft, "file" | "text">): Blob => file ?? new Blob([text]);

export const rowsNameOf = ({ rowsName, file }: Draft): string =>
  rowsName ?? (file?.name ?? "").replace(/\.(?:jsonl?|csv|parquet)$/u, "");

export const sharesOf = ({ validationShare, testShare, splitSeed }: Draft): Shares => ({
  validation: Number(validationShare) / 100,
  test: Number(testShare) / 100,
  seed: Number(splitSeed),
});

interface Upload {
  readonly of: Part["of"];
  readonly name: string;
  readonly rows: Blob;
  readonly lines: readonly number[] | null;
}

interface Storing {
  readonly keyOf: (part: Part["of"]) => string;
  readonly onSent: (share: number) => void;
  /** Aborted when nobody waits for it any longer. */
  readonly signal: AbortSignal;
}

/**
 * All parts or none: what was stored of rows that are wrong elsewhere is deleted again.
 * @param keyOf one for each part: a second attempt after a lost answer stores nothing twice
 * @param onSent hears the share of all bytes that has been sent, 0 to 1
 * @throws SteplogError with the lines of all parts, as they are numbered among all rows
 */
export async function storeRows(draft: Draft, { keyOf, onSent, signal }: Storing): Promise<StoredPart[]> {
  const uploads = await uploadsOf(draft);
  const total = uploads.reduce((sum, { rows }) => sum + rows.size, 0);
  const sent = uploads.map(() => 0);
  const outcomes = await Promise.allSettled(
    uploads.map(({ of, name, rows }, at) =>
      uploadDataset({
        rows,
        name,
        preset: draft.preset,
        idempotencyKey: keyOf(of),
        onSent: (share) => {
          sent[at] = share * rows.size;
          onSent(sent.reduce((sum, bytes) => sum + bytes, 0) / Math.max(total, 1));
        },
        signal,
      }),
    ),
  );
  const stored = outcomes.flatMap((one, at) => (one.status === "fulfilled" ? [partOf(one.value, uploads[at])] : []));
  const failures = outcomes.flatMap((one, at) =>
    one.status === "rejected" ? [withLines(one.reason, uploads[at]?.lines ?? null)] : [],
  );
  const [first] = failures;
  if (!first) return stored;
  if (first.code !== "UNAVAILABLE") await Promise.allSettled(stored.map(({ id }) => change(discardRows, { id })));
  const issues = failures.flatMap((failure) => failure.issues).toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0));
  throw new SteplogError(first.code, first.message, issues);
}

async function uploadsOf(draft: Draft): Promise<Upload[]> {
  const rows = rowsOf(draft);
  const name = rowsNameOf(draft);
  const shares = sharesOf(draft);
  const whole = [{ of: "training", name, rows, lines: null } as const];
  if (!isSplit(draft) || shares.validation + shares.test === 0) return whole;
  const found = await rowsIn(rows, draft.form);
  if (found === null) return whole;
  return split(found, shares).map(({ of, text, lines }) => ({
    of,
    name: of === "training" ? name : `${name}, ${of}`.slice(0, 200),
    rows: new Blob([text]),
    lines,
  }));
}

/** Null for what cannot be read, whole: the service says what is wrong with it. */
async function rowsIn(rows: Blob, form: Draft["form"]): Promise<Rows | null> {
  if (form === "PARQUET") return linesOf((await allOfParquet(rows)).join("\n"));
  const text = await strictTextOf(rows);
  if (text === null) return null;
  return form === "CSV" ? (await import("./csv.ts")).csvRowsOf(text) : linesOf(text);
}

/** Each part is stored as JSON Lines. @throws SteplogError for what cannot be read to its end: without a split the service reads it */
async function allOfParquet(file: Blob): Promise<readonly string[]> {
  const { readParquet } = await import("./parquet.ts");
  const found = await readParquet(file, { rows: Infinity, characters: largestSplit.JSONL });
  if (found?.all) return found.lines;
  const why = found === null ? "cannot be read here" : "has too many rows";
  const message = `This file ${why} to be split here. Choose “Other stored rows, or none” to store it whole.`;
  throw new SteplogError("DATASET_INVALID", message);
}

/** Null for what is not UTF-8: it would be stored with other characters. */
async function strictTextOf(rows: Blob): Promise<string | null> {
  const bytes = await rows.arrayBuffer();
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

function partOf({ id, name, rows }: StoredDataset, upload: Upload | undefined): StoredPart {
  return { id, name, rows, of: upload?.of ?? "training" };
}

function withLines(reason: unknown, lines: readonly number[] | null): SteplogError {
  if (!(reason instanceof SteplogError)) throw reason;
  const issues = reason.issues.map((issue) => {
    const line = issue.line === undefined ? undefined : lines?.[issue.line - 1];
    return line === undefined ? issue : { ...issue, line };
  });
  // The message counts the lines of the part.
  const message = lines && reason.code === "DATASET_INVALID" ? "These lines cannot be used:" : reason.message;
  return new SteplogError(reason.code, message, issues);
}

/** What is wrong with the shares, at their fields. */
export function shareIssues(draft: Draft): Issue[] {
  if (!isSplit(draft)) return [];
  const { validation, test, seed } = sharesOf(draft);
  const isShare = (share: number) => share >= 0 && share < 1;
  const message = "must be a number from 0 to below 100";
  return [
    ...(isShare(validation) ? [] : [{ field: "validationShare", message }]),
    ...(isShare(test) ? [] : [{ field: "testShare", message }]),
    ...(validation + test >= 1 ? [{ field: "testShare", message: "leaves no rows to train on" }] : []),
    ...(Number.isInteger(seed) && seed >= 0 ? [] : [{ field: "splitSeed", message: "must be a whole number from 0" }]),
  ];
}
