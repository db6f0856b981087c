/** Presets: tasks whose published rows Steplog can read. */
import type { Preset, PresetName } from "../../../dataset/presets.ts";
import { presetNames, presets } from "../../../dataset/presets.ts";
import { builder } from "../builder.ts";

export const PresetRef = builder.enumType("DatasetPreset", {
  description: "A task whose published rows are known; datasetPresets says how each is read.",
  values: Object.fromEntries(
    presetNames.map((name) => [name, { description: `Fields ${presets[name].fields}.` }]),
  ) as Record<PresetName, { description: string }>,
});

const PresetInfo = builder.objectRef<Preset & { readonly name: PresetName }>("DatasetPresetInfo").implement({
  description: "How the rows of a task are read.",
  fields: (t) => ({
    name: t.expose("name", { type: PresetRef, description: "The preset." }),
    fields: t.exposeString("fields", { description: "The fields that a row needs." }),
    prompt: t.exposeString("prompt", { description: "The prompt that comes of them." }),
    completions: t.exposeString("completions", { description: "What is chosen from, or accepted." }),
    metric: t.exposeString("metric", { description: "What its results are given in: accuracy or F1." }),
  }),
});

builder.queryField("datasetPresets", (t) =>
  t.field({
    type: [PresetInfo],
    description: "The tasks whose published rows are known.",
    resolve: () => presetNames.map((name) => ({ name, ...presets[name] })),
  }),
);
