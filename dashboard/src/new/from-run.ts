/** Fills in the form from an existing run, so that a new one can differ from it in a few settings. */
import { useEffect, useState } from "preact/hooks";
import { defaultsWith } from "../../../schema/hyperparameter-defaults.ts";
import { hyperparameterTable, type HyperparameterName } from "../../../schema/hyperparameter-table.ts";
import type { Setting } from "../../../schema/setting.ts";
import { asFailure, type Failure } from "../api/failure.ts";
import { ask } from "../api/query.ts";
import { hyperparametersFor, textsOf } from "../parts/form/hyperparameters.tsx";
import { emptyDraft, type Change, type Draft, type NamedRows } from "./draft.ts";
import { runToCopy, type RunToCopyQuery } from "./operations.ts";

type Run = NonNullable<RunToCopyQuery["fineTune"]>;

/** @param id of the run, from the address; undefined for none */
export function useRunToCopy(id: string | undefined, draft: Draft, change: Change): Failure | null {
  const [failure, setFailure] = useState<Failure | null>(null);
  useEffect(() => {
    if (id === undefined || draft.copied?.id === id) return;
    setFailure(null);
    ask(runToCopy, { id })
      .then(({ fineTune }) => {
        if (fineTune) change({ ...draftOf(fineTune), copied: { id, name: fineTune.name } });
        else setFailure({ code: "NOT_FOUND", message: `There is no run ${id}. Fill in the steps below.`, issues: [] });
      })
      .catch((error: unknown) => setFailure(asFailure(error)));
  }, [id]);
  return failure;
}

function draftOf(run: Run): Draft {
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

/** Those that differ from their defaults; of a fork all that it may have: what it leaves out is as in the run that it forked. */
function settingsToCopy({ hyperparameters, from }: Run): HyperparameterName[] {
  const defaults = defaultsWith(hyperparameters);
  const isFixed = (name: HyperparameterName) => (hyperparameterTable[name] as Setting).fixedByLog === true;
  return hyperparametersFor(hyperparameters.method).filter((name) =>
    from ? !isFixed(name) : JSON.stringify(hyperparameters[name]) !== JSON.stringify(defaults[name]),
  );
}

/** Rows that were deleted must be chosen anew. */
function rowsOf(dataset: Run["dataset"] | null): NamedRows | null {
  return dataset?.deletedAt === null ? dataset : null;
}
