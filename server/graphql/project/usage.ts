/** What a project uses and may use. */
import { z } from "zod";
import { SteplogError } from "../../../schema/errors.ts";
import { msOfDay } from "../../../schema/units.ts";
import { type QuotaUse, type UsageDay, mostUsageDays, quotaNames } from "../../../schema/usage.ts";
import { builder, queryCost } from "../builder.ts";
import { ProjectRef } from "../nodes.ts";

const UsageDayRef = builder.objectRef<UsageDay>("UsageDay").implement({
  description: "What a project used on one day in UTC. Counted since the release that this comes with.",
  fields: (t) => ({
    day: t.field({ type: "Date", description: "The day.", resolve: ({ day }) => day }),
    steps: t.float({ description: "Steps trained.", resolve: ({ STEPS }) => STEPS }),
    stepSeconds: t.float({ description: "Seconds that workers took for them.", resolve: (use) => use.STEP_SECONDS }),
    evaluationSeconds: t.float({
      description:
        "Seconds that workers took to evaluate: models, however these evaluations ended, from when a worker began them, and runs.",
      resolve: (use) => use.EVALUATION_SECONDS,
    }),
    completionSeconds: t.float({
      description:
        "Seconds that workers took to answer. Requests that a worker answers at once share its seconds, so that these add up to " +
        "what it took.",
      resolve: (use) => use.COMPLETION_SECONDS,
    }),
    rebuildSeconds: t.float({
      description: "Seconds that workers took to rebuild weights and to make exports, however that ended.",
      resolve: (use) => use.REBUILD_SECONDS,
    }),
    tokensTrained: t.float({
      description: "Tokens of the rows of these steps, once for each step, however many passes it takes.",
      resolve: ({ TOKENS_TRAINED }) => TOKENS_TRAINED,
    }),
    tokensGenerated: t.float({
      description: "Tokens of answers and of those that evaluations generated, however they ended.",
      resolve: ({ TOKENS_GENERATED }) => TOKENS_GENERATED,
    }),
    bytes: t.float({
      description: "Bytes of files that were stored: datasets, weights and exports.",
      resolve: ({ BYTES }) => BYTES,
    }),
  }),
});

const QuotaName = builder.enumType("QuotaName", {
  description: "What a quota limits.",
  values: {
    BYTES: {
      value: "bytes",
      description: "Bytes of stored datasets, weights and exports, and of those that workers are to store.",
    },
    CONCURRENT_RUNS: {
      value: "concurrentRuns",
      description: "Runs that workers train at once. Nothing is refused for it: the others wait, and say why.",
    },
    REQUESTS_WAITING: {
      value: "requestsWaiting",
      description:
        "Requests to models that have not ended: those that wait for a worker, and those that are being answered.",
    },
    STEPS_A_MONTH: {
      value: "stepsAMonth",
      description: "Steps in a month of UTC: trained, and still to come in unfinished runs.",
    },
    TOKENS_A_MONTH: {
      value: "tokensAMonth",
      description: "Tokens in a month of UTC, trained and generated. What is under way may go beyond it.",
    },
    WORKER_SECONDS_A_MONTH: {
      value: "workerSecondsAMonth",
      description:
        "Seconds that workers take in a month of UTC: for steps, evaluations, answers and rebuilds. What is under way may go " +
        "beyond it.",
    },
  } satisfies Record<string, { value: (typeof quotaNames)[number]; description: string }>,
});

const QuotaRef = builder.objectRef<QuotaUse>("Quota").implement({
  description:
    "A limit of a project. A request beyond it is refused as `QUOTA_EXCEEDED`, unless it is one of runs at once.",
  fields: (t) => ({
    name: t.field({ type: QuotaName, description: "What it limits.", resolve: ({ name }) => name }),
    limit: t.exposeFloat("limit", { description: "How much there may be." }),
    used: t.exposeFloat("used", { description: "How much there is." }),
    resetsAt: t.expose("resetsAt", {
      type: "DateTime",
      nullable: true,
      description: "When it counts from 0 again; null for what frees up otherwise.",
    }),
  }),
});

const projectArgument = {
  for: ProjectRef,
  description: "Id of the project. The key's own if left out; an operator may give any.",
};

builder.queryField("usage", (t) =>
  t.field({
    type: [UsageDayRef],
    description: "What a project used, by day; days without use are left out.",
    complexity: { field: queryCost, multiplier: 31 },
    args: {
      project: t.arg.globalID(projectArgument),
      from: t.arg({ type: "Date", required: true, description: "The first day." }),
      to: t.arg({
        type: "Date",
        required: true,
        description: `The last day; at most ${mostUsageDays} days in all.`,
      }),
    },
    resolve: (_root, { project, from, to }, { store }) => {
      const days = (Date.parse(to) - Date.parse(from)) / msOfDay + 1;
      if (days >= 1 && days <= mostUsageDays) return store.accounts.usage(from, to, project?.id);
      const message = `${from} to ${to} are ${days} days. Ask for 1 to ${mostUsageDays}.`;
      throw new SteplogError("INVALID_ARGUMENT", message, [{ field: "to", message }]);
    },
  }),
);

builder.queryField("quotas", (t) =>
  t.field({
    type: [QuotaRef],
    description: "The quotas of a project, and how much of them is used. None for what has no limit.",
    complexity: { field: queryCost, multiplier: quotaNames.length },
    args: { project: t.arg.globalID(projectArgument) },
    resolve: (_root, { project }, { store }) => store.accounts.quotas(project?.id),
  }),
);

const limit = { validate: z.number().min(0).max(Number.MAX_SAFE_INTEGER).nullish() };

const QuotasInput = builder.inputType("QuotasInput", {
  description: "Quotas of a project: null takes one away, and what is left out stays as it is.",
  fields: (t) => ({
    bytes: t.float({
      ...limit,
      description: "Bytes of stored datasets, weights and exports, and of those that workers are to store.",
    }),
    concurrentRuns: t.float({ ...limit, description: "Runs that workers train at once; the others wait." }),
    requestsWaiting: t.float({
      ...limit,
      description:
        "Requests to models that have not ended: those that wait for a worker, and those that are being answered.",
    }),
    stepsAMonth: t.float({ ...limit, description: "Steps in a month of UTC." }),
    tokensAMonth: t.float({ ...limit, description: "Tokens trained and generated in a month of UTC." }),
    workerSecondsAMonth: t.float({ ...limit, description: "Seconds that workers take in a month of UTC." }),
  }),
});

builder.mutationField("setProjectQuotas", (t) =>
  t.field({
    type: [QuotaRef],
    description:
      "Sets quotas of a project, and returns all that it has. Only an operator may: scope ADMIN in the default project. What " +
      "is stored or under way stays. Repeating it is safe.",
    complexity: { field: queryCost, multiplier: quotaNames.length },
    args: {
      project: t.arg.globalID(projectArgument),
      quotas: t.arg({ type: QuotasInput, required: true, description: "The quotas to change." }),
    },
    resolve: (_root, { project, quotas }, { store }) => store.accounts.setQuotas(quotas, project?.id),
  }),
);
