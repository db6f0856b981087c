/** Presets: tasks whose published rows Steplog can read. */
import type { Preset, PresetName } from "../../../dataset/presets.ts";
import { presetNames, presets } from "../../../dataset/presets.ts";
import { builder } from "../builder.ts";

export const PresetRef = builder.enumType("DatasetPreset", {
  description: "A task whose published rows Steplog can convert. The query datasetPresets describes each.",
  values: Object.fromEntries(
    presetNames.map((name) => [name, { description: `Fields ${presets[name].fields}.` }]),
  ) as Record<PresetName, { description: string }>,
});

const PresetInfo = builder.objectRef<Preset & { readonly name: PresetName }>("DatasetPresetInfo").implement({
  description: "How a preset converts the rows of its task.",
  fields: (t) => ({
    name: t.expose("name", { type: PresetRef, description: "The preset." }),
    fields: t.exposeString("fields", { description: "Fields that a row must have." }),
    prompt: t.exposeString("prompt", { description: "The prompt made of these fields." }),
    completions: t.exposeString("completions", { description: "The candidates, or the accepted answers." }),
    metric: t.exposeString("metric", {
      description: "Metric in which results of the task are reported: accuracy or F1.",
    }),
  }),
});

builder.queryField("datasetPresets", (t) =>
  t.field({
    type: [PresetInfo],
    description: "All dataset presets.",
    resolve: () => presetNames.map((name) => ({ name, ...presets[name] })),
  }),
);
