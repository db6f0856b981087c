/** The rows of a stored dataset, by pages. */
import { z } from "zod";
import { limits } from "../../../schema/limits.ts";
import { type StoredRow, type StoredRows, placeOfCursor, storedRows } from "../../stored-rows.ts";
import { builder, queryCost } from "../builder.ts";
import { DatasetRef } from "../nodes.ts";

const StoredRowRef = builder.objectRef<StoredRow>("StoredRow").implement({
  description: "A row as it is stored.",
  fields: (t) => ({
    line: t.exposeInt("line", { description: "Its line in the file, from 1, blank lines counted." }),
    text: t.exposeString("text", { description: "Its line, a JSON object; of a very long one the beginning." }),
    bytes: t.exposeInt("bytes", { description: "Size of its line in bytes." }),
    cut: t.exposeBoolean("cut", { description: "Whether `text` is only the beginning." }),
  }),
});

const StoredRowsRef = builder.objectRef<StoredRows>("StoredRows").implement({
  description: "Rows of a dataset, in the order of the file.",
  fields: (t) => ({
    rows: t.field({
      type: [StoredRowRef],
      description: "The rows: fewer than asked for where they are long.",
      resolve: ({ rows }) => rows,
    }),
    endCursor: t.exposeString("endCursor", {
      nullable: true,
      description: "Cursor for the rows that follow, for `after`; null at the end.",
    }),
  }),
});

const usualRows = 20;

builder.objectField(DatasetRef, "storedRows", (t) =>
  t.field({
    type: StoredRowsRef,
    description: "Its rows as they are stored, page by page. How a model sees them says previewRows.",
    complexity: queryCost * 2,
    args: {
      first: t.arg.int({
        defaultValue: usualRows,
        description: `Most rows to return, 1 to ${limits.pageSize}. Default ${usualRows}.`,
        validate: z.int().min(1).max(limits.pageSize).nullish(),
      }),
      after: t.arg.string({ description: "Return the rows after this cursor. Left out, from the first one." }),
    },
    resolve: (dataset, { first, after }, { store }) =>
      storedRows(store, dataset, {
        first: first ?? usualRows,
        after: after == null ? null : placeOfCursor(after),
      }),
  }),
);
