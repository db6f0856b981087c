/** Previews rows as a base model sees them, in the sandbox. */
import { stat } from "node:fs/promises";
import type { Preparation } from "../dataset/prepare.ts";
import type { Preview } from "../dataset/preview.ts";
import type { preview } from "../dataset/tasks.ts";
import { limitsFor } from "../sandbox/limits.ts";
import { modelKindOf } from "../schema/model-kind.ts";
import { programPath } from "../schema/package.ts";
import type { BaseModel } from "../schema/tables.ts";
import type { Context } from "./context.ts";
import { withModelFolder } from "./model-folder.ts";
import type { RowPlace } from "./stored-rows.ts";
import type { RowSettings } from "./row-checks.ts";
import { tokenizerFiles } from "./row-checks.ts";

interface RowsInFile {
  readonly path: string;
  readonly preparation: Preparation | null;
  /** Where to start; left out, with the first row. */
  readonly from?: RowPlace | null;
}

interface PreviewSettings extends Pick<RowSettings, "labelWords" | "truncate" | "taken"> {
  /** Rows to show. */
  readonly show: number;
}

/** @throws DATASET_INVALID for rows that cannot be read at all; MODEL_INVALID for a tokenizer or chat template that cannot be used */
export async function previewForModel(
  context: Context,
  model: BaseModel,
  { path, preparation, from }: RowsInFile,
  { labelWords, show, truncate, taken }: PreviewSettings,
): Promise<Preview> {
  const { name, hash, family, contextLength } = model;
  return withModelFolder(context, model, async (folder) =>
    context.sandbox.run<typeof preview>({
      file: programPath("dataset/tasks"),
      name: "preview",
      input: {
        folder,
        model: name,
        tokenizerKey: `${hash}\n${await tokenizerFiles(folder)}`,
        bounds: { contextLength, kind: modelKindOf(family), truncate, taken },
        path,
        preparation,
        from: from ? { offset: from.offset, lines: from.line - 1 } : null,
        labelWords,
        show,
      },
      limits: limitsFor((await stat(path)).size),
      blame: { code: "DATASET_INVALID", doing: "Reading the rows" },
      signal: context.signal,
    }),
  );
}
