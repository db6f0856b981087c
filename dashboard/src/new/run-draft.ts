/** What the form of a new run has of an existing one. */
import { settingsToCopy, textsOf } from "../parts/form/settings.ts";
import { emptyDraft, type Draft, type NamedRows } from "./draft.ts";
import type { RunToCopyQuery } from "./operations.ts";

export type RunToCopy = NonNullable<RunToCopyQuery["fineTune"]>;

export function draftOf(run: RunToCopy): Draft {
  const { hyperparameters, calibrationPrompt, tags, metadata, priority } = run;
  const settings = Object.fromEntries(settingsToCopy(run).map((name) => [name, hyperparameters[name]] as const));
  return {
    ...emptyDraft,
    open: "settings",
    source: "stored",
    dataset: rowsOf(run.dataset),
    validationDataset: rowsOf(run.validationDataset),
    testDataset: rowsOf(run.testDataset),
    labelWords: run.labelWords.join("\n"),
    baseModel: run.baseModel.name,
    from: run.from,
    name: run.name,
    kind: "OWN",
    settings: textsOf(settings),
    keepWeights: run.keepWeights,
    more: {
      ...(calibrationPrompt !== null && { calibrationPrompt }),
      ...(tags.length > 0 && { tags }),
      ...(metadata.length > 0 && { metadata }),
      ...(priority !== 0 && { priority }),
    },
  };
}

/** Rows that were deleted must be chosen anew. */
function rowsOf(dataset: RunToCopy["dataset"] | null): NamedRows | null {
  return dataset?.deletedAt === null ? dataset : null;
}
