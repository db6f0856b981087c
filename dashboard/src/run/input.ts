/** What creates the same run again. */
import type { CreateFineTuneInput } from "../../../client/schema-types.ts";
import { settingsToCopy } from "../parts/form/settings.ts";
import type { Run } from "./run-state.ts";

/** What a fork leaves out would be as in the run that it forked, so its copy names all that it may. */
export function inputOf(run: Run): CreateFineTuneInput {
  const { hyperparameters, from } = run;
  const named: [string, unknown][] = settingsToCopy(run).map((name) => [name, hyperparameters[name]]);
  return {
    name: run.name,
    ...(from ? { from: from.id } : { baseModel: run.baseModel.name }),
    dataset: run.dataset.id,
    ...(run.validationDataset && { validationDataset: run.validationDataset.id }),
    ...(run.testDataset && { testDataset: run.testDataset.id }),
    ...((from !== null || run.labelWords.length > 0) && { labelWords: run.labelWords }),
    ...(run.calibrationPrompt !== null && { calibrationPrompt: run.calibrationPrompt }),
    ...((from !== null || run.keepWeights) && { keepWeights: run.keepWeights }),
    ...(named.length > 0 && { hyperparameters: Object.fromEntries<unknown>(named) }),
  };
}
