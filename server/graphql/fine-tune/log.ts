/** The log of a run as it grows. */
import { z } from "zod";
import type { FineTune } from "../../../schema/tables.ts";
import type { LoggedPair } from "../../../store/store.ts";
import { builder, queryCost } from "../builder.ts";
import { FineTuneRef } from "../nodes.ts";
import { logBytesOf } from "./checkpoint.ts";

const mostPairs = 100;

const LoggedPairRef = builder.objectRef<LoggedPair>("LoggedPair").implement({
  description: "One estimate of the log: the weights went along the noise of this seed, as far as the scalar says.",
  fields: (t) => ({
    entry: t.exposeInt("entry", { description: "Its place in the log, counted from 0." }),
    seed: t.string({
      description: "Seed of the noise, a number of 64 bits, in decimal digits.",
      resolve: ({ seed }) => seed.toString(),
    }),
    scalar: t.exposeFloat("scalar", { description: "The scalar, a bfloat16: two bytes of the log." }),
  }),
});

const RunLogRef = builder.objectRef<FineTune>("RunLog").implement({
  description: "The log of a run so far. With the base model it gives the weights, bit for bit.",
  fields: (t) => ({
    entries: t.exposeInt("entries", { description: "Pairs in it, those of the runs that it continues included." }),
    bytes: t.int({
      description: "Size of the .steplog file in bytes.",
      complexity: queryCost,
      resolve: (run, _args, context) => logBytesOf(run, run.entries, context),
    }),
    chainHash: t.string({
      nullable: true,
      description: "Chain hash of these entries, 64 hex digits; null until training begins.",
      resolve: ({ chain }) => (chain ? Buffer.from(chain).toString("hex") : null),
    }),
    lastPairs: t.field({
      type: [LoggedPairRef],
      description: "The last pairs that the run itself added, in order.",
      complexity: (args) => ({ field: queryCost, multiplier: args.count ?? 10 }),
      args: {
        count: t.arg.int({
          defaultValue: 10,
          description: `Most pairs to return, 1 to ${mostPairs}.`,
          validate: z.int().min(1).max(mostPairs).nullish(),
        }),
      },
      resolve: ({ id }, { count }, { store }) => store.fineTunes.lastPairs(id, count ?? 10),
    }),
  }),
});

builder.objectField(FineTuneRef, "log", (t) =>
  t.field({
    type: RunLogRef,
    description: "The log so far: how large it is, its chain hash and its last pairs.",
    resolve: (run) => run,
  }),
);
