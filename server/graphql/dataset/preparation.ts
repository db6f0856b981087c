/** What a dataset's rows are made of: presets of tasks, templates, splits and samples (docs/DATA.md). */
import { z } from "zod";
import type { Part, Preparation } from "../../../dataset/prepare.ts";
import { limits } from "../../../schema/limits.ts";
import { invalidArgument } from "../../errors.ts";
import { builder } from "../builder.ts";
import { PresetRef } from "./preset.ts";

const PartRef = builder.enumType("DatasetPart", {
  description: "A part of a split; the parts of one seed and its shares have no prompt in common.",
  values: {
    TRAINING: { description: "What the others leave." },
    VALIDATION: { description: "Of the size of validationShare." },
    TEST: { description: "Of the size of testShare." },
  } satisfies Record<Part, { description: string }>,
});

const LabelInput = builder.inputType("LabelInput", {
  description: "A label and what stands for it.",
  fields: (t) => ({
    value: t.string({ required: true, description: "The label's value, as text." }),
    completion: t.string({ required: true, description: "The completion that stands for it, leading space included." }),
  }),
});

const TemplateInput = builder.inputType("TemplateInput", {
  description: "How rows with labels become prompts and completions.",
  fields: (t) => ({
    prompt: t.string({ required: true, description: "The prompt, with fields in braces: {text} It was" }),
    labelField: t.string({ description: "The field of the label; `label` when left out." }),
    labels: t.field({
      type: [LabelInput],
      required: true,
      description: "Every label; their completions are the candidates of each row.",
    }),
  }),
});

const share = z.number().min(0).lt(1).nullish();

export const PreparationInput = builder.inputType("PreparationInput", {
  description:
    "What is made of a file's rows, in this order: conversion, equal rows kept once, a part of a split, a sample.",
  fields: (t) => ({
    preset: t.field({ type: PresetRef, description: "The task whose rows they are; or give a template." }),
    template: t.field({ type: TemplateInput, description: "For rows of no preset." }),
    part: t.field({ type: PartRef, description: "The part to store; all rows when left out." }),
    validationShare: t.float({ description: "Share of the rows, 0 to below 1; 0 when left out.", validate: share }),
    testShare: t.float({ description: "Share of the rows, 0 to below 1; 0 when left out.", validate: share }),
    perClass: t.int({
      description: "Rows of each completion, drawn by the seed; all when left out.",
      validate: z.int().min(1).max(limits.datasetRows).nullish(),
    }),
    seed: t.field({ type: "SafeInt", description: "Of the split and the sample; 0 when left out." }),
  }),
});

/** @throws INVALID_ARGUMENT for a preset and a template at once, or shares of more than everything */
export function preparationOf(input: typeof PreparationInput.$inferInput): Preparation {
  const { preset, template, part, validationShare, testShare, perClass, seed } = input;
  const issues = [
    ...(preset != null && template != null ? [{ path: ["preset"], message: "is given, and a template too" }] : []),
    ...((validationShare ?? 0) + (testShare ?? 0) >= 1
      ? [{ path: ["validationShare"], message: "and testShare leave nothing to learn from" }]
      : []),
  ];
  if (issues.length > 0) throw invalidArgument(issues, ["input", "prepare"]);
  return {
    preset: preset ?? undefined,
    template: template
      ? {
          prompt: template.prompt,
          labelField: template.labelField ?? "label",
          labels: Object.fromEntries(template.labels.map(({ value, completion }) => [value, completion])),
        }
      : undefined,
    part: part ?? undefined,
    validationShare: validationShare ?? 0,
    testShare: testShare ?? 0,
    perClass: perClass ?? undefined,
    seed: seed ?? 0,
  };
}
