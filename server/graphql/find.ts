/** What somebody means by a short id or by a name. */
import { z } from "zod";
import { limits } from "../../schema/limits.ts";
import type { FoundKind } from "../../store/store.ts";
import { builder, queryCost } from "./builder.ts";

/** More than one is ambiguous: enough to choose from. */
const most = 10;

const FindableType = builder.enumType("FindableType", {
  description: "A type of object that short ids and names find.",
  values: {
    FINE_TUNE: { description: "A run." },
    CHECKPOINT: { description: "A checkpoint, which has no name." },
    DATASET: { description: "A dataset that is not deleted." },
    EVALUATION: { description: "An evaluation, which has no name." },
    SWEEP: { description: "A sweep." },
  } satisfies Record<FoundKind, { description: string }>,
});

const typeOf: Readonly<Record<FoundKind, string>> = {
  FINE_TUNE: "FineTune",
  CHECKPOINT: "Checkpoint",
  DATASET: "Dataset",
  EVALUATION: "ModelEvaluation",
  SWEEP: "Sweep",
};

builder.queryField("find", (t) =>
  t.nodeList({
    description:
      "What is meant by a short id or by a name, newest first: the objects of a type whose id, decoded, begins with the " +
      `text, or which are named so. At most ${most}; more than one is ambiguous, and none means that there is no such object.`,
    complexity: { field: queryCost, multiplier: most },
    args: {
      type: t.arg({ type: FindableType, required: true, description: "What it is." }),
      text: t.arg.string({
        required: true,
        description:
          "4 or more of the first hexadecimal digits of the UUID that an id is the base64 of, or a whole name.",
        validate: z.string().min(1).max(limits.nameLength),
      }),
    },
    ids: async (_root, { type, text }, { store }) =>
      (await store.finding.find(type, text, most)).map((id) => ({ id, type: typeOf[type] })),
  }),
);
