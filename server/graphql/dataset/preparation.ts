/** Preparation of a dataset's rows: conversion by preset or template, splits, samples (docs/YOUR_DATA.md). */
import { z } from "zod";
import type { Part, Preparation } from "../../../dataset/prepare.ts";
import type { LabelTemplate } from "../../../dataset/template.ts";
import { limits } from "../../../schema/limits.ts";
import { invalidArgument } from "../../errors.ts";
import { builder } from "../builder.ts";
import { PresetRef } from "./preset.ts";

const PartRef = builder.enumType("DatasetPart", {
  description: "Part of a split. With the same seed and shares, no two parts have a prompt in common.",
  values: {
    TRAINING: { description: "The rows in neither of the other parts." },
    VALIDATION: { description: "A share of the rows: validationShare." },
    TEST: { description: "A share of the rows: testShare." },
  } satisfies Record<Part, { description: string }>,
});

const LabelInput = builder.inputType("LabelInput", {
  description: "A label and the completion that stands for it.",
  fields: (t) => ({
    value: t.string({ required: true, description: "The label's value in the rows, as text." }),
    completion: t.string({
      required: true,
      description: "The completion that stands for it, including a leading space if it needs one.",
    }),
  }),
});

const TemplateInput = builder.inputType("TemplateInput", {
  description: "How rows of any fields become prompts and completions.",
  fields: (t) => ({
    prompt: t.string({ required: true, description: "The prompt, with names of fields in braces: {text} It was" }),
    labelField: t.string({ description: "Field that holds the label. Default `label`." }),
    labels: t.field({
      type: [LabelInput],
      description:
        "All labels. Their completions are the candidates of every row. Required unless `completion` is given.",
    }),
    completion: t.string({
      description: "Instead of labels: the completion, with names of fields in braces.",
    }),
  }),
});

const share = z.number().min(0).lt(1).nullish();

export const PreparationInput = builder.inputType("PreparationInput", {
  description: "How rows are prepared, in this order: convert, remove duplicates, take one part of a split, sample.",
  fields: (t) => ({
    preset: t.field({
      type: PresetRef,
      description: "The task that the rows come from. Cannot be combined with `template`.",
    }),
    template: t.field({ type: TemplateInput, description: "How to convert rows that no preset covers." }),
    part: t.field({ type: PartRef, description: "The part to store. Left out, all rows." }),
    validationShare: t.float({
      description: "Share of rows in the validation part, 0 to below 1. Default 0.",
      validate: share,
    }),
    testShare: t.float({ description: "Share of rows in the test part, 0 to below 1. Default 0.", validate: share }),
    perClass: t.int({
      description: "Number of rows to sample for each completion. Left out, all rows.",
      validate: z.int().min(1).max(limits.datasetRows).nullish(),
    }),
    seed: t.field({ type: "SafeInt", description: "Seed of the split and the sample. Default 0." }),
  }),
});

/** @throws INVALID_ARGUMENT for both a preset and a template, a template without a completion, or for shares that add up to 1 or more */
export function preparationOf(input: typeof PreparationInput.$inferInput): Preparation {
  const { preset, template, part, validationShare, testShare, perClass, seed } = input;
  const issues = [
    ...(preset != null && template != null
      ? [{ path: ["preset"], message: "cannot be combined with a template" }]
      : []),
    ...((validationShare ?? 0) + (testShare ?? 0) >= 1
      ? [
          {
            path: ["validationShare"],
            message: "and testShare must add up to less than 1, so that training rows are left",
          },
        ]
      : []),
  ];
  if (template && (template.labels != null) === (template.completion != null)) {
    issues.push({ path: ["template"], message: "needs either labels or completion" });
  }
  if (issues.length > 0) throw invalidArgument(issues, ["input", "prepare"]);
  return {
    preset: preset ?? undefined,
    template: template ? templateOf(template) : undefined,
    part: part ?? undefined,
    validationShare: validationShare ?? 0,
    testShare: testShare ?? 0,
    perClass: perClass ?? undefined,
    seed: seed ?? 0,
  };
}

function templateOf({ prompt, labelField, labels, completion }: typeof TemplateInput.$inferInput): LabelTemplate {
  if (completion != null) return { prompt, completion };
  const words = (labels ?? []).map((label) => [label.value, label.completion] as const);
  return { prompt, labelField: labelField ?? "label", labels: Object.fromEntries(words) };
}
