/** Rate limits: what the asking key may still send, and what an operator lets others send. */
import { z } from "zod";
import {
  type OwnRates,
  type RateName,
  type RateUse,
  complexityOfPoint,
  rateNames,
  rateWindowS,
} from "../../../schema/rates.ts";
import { builder, queryCost } from "../builder.ts";
import { ApiKeyRef, ProjectRef } from "../nodes.ts";

const RateLimitName = builder.enumType("RateLimitName", {
  description: "What a rate limit counts.",
  values: {
    GRAPHQL: {
      value: "graphql",
      description: `Points of GraphQL operations: one for each started ${complexityOfPoint} of complexity.`,
    },
    OPENAI: { value: "openai", description: "Requests to /v1, by the OpenAI protocol." },
    FILES: { value: "files", description: "Requests that upload or download files." },
  } satisfies Record<Uppercase<RateName>, { value: RateName; description: string }>,
});

const RateLimitRef = builder.objectRef<RateUse>("RateLimit").implement({
  description: "A rate limit of the key that asks. Each gateway counts for itself.",
  fields: (t) => ({
    name: t.field({ type: RateLimitName, description: "What it counts.", resolve: ({ name }) => name }),
    limit: t.exposeInt("limit", { description: "How much may come in one window." }),
    windowSeconds: t.int({
      description: "Seconds of a window, which begins with the first request in it.",
      resolve: () => rateWindowS,
    }),
    remaining: t.exposeInt("remaining", { description: "How much of it is left." }),
    resetsInSeconds: t.int({
      description: "Seconds until the next window may begin.",
      resolve: ({ resetsInS }) => resetsInS,
    }),
  }),
});

builder.queryField("rateLimits", (t) =>
  t.field({
    type: [RateLimitRef],
    description:
      "The rate limits of the key that asks, or of its address where there are no keys. None for what has no limit.",
    resolve: async (_root, _args, { meter }) => (meter ? meter.uses() : []),
  }),
);

const OwnRateLimitRef = builder
  .objectRef<{ readonly name: RateName; readonly limit: number }>("OwnRateLimit")
  .implement({
    description: "A rate limit that an operator has set for a project or a key.",
    fields: (t) => ({
      name: t.field({ type: RateLimitName, description: "What it counts.", resolve: ({ name }) => name }),
      limit: t.exposeInt("limit", { description: "How much may come in one window; 0 for as much as it likes." }),
    }),
  });

const RateLimitedInput = builder.inputType("RateLimitedInput", {
  description: "Whose rate limits. Give exactly one field.",
  isOneOf: true,
  fields: (t) => ({
    project: t.globalID({ for: ProjectRef, description: "Each key of this project that has none of its own." }),
    apiKey: t.globalID({ for: ApiKeyRef, description: "This key." }),
  }),
});

const limit = { validate: z.int().min(0).max(1_000_000_000).nullish() };

const RateLimitsInput = builder.inputType("RateLimitsInput", {
  description:
    "Rate limits for a window of a minute: 0 for no limit, null for the usual one; what is left out stays as it is.",
  fields: (t) => ({
    graphql: t.int({ ...limit, description: "Points of GraphQL operations." }),
    openai: t.int({ ...limit, description: "Requests to /v1." }),
    files: t.int({ ...limit, description: "Requests that upload or download files." }),
  }),
});

builder.mutationField("setRateLimits", (t) =>
  t.field({
    type: [OwnRateLimitRef],
    description:
      "Sets rate limits of one key, or of each key of a project, and returns what it has of its own then. Only an operator may: " +
      "scope ADMIN in the default project. It holds for the next request. Repeating it is safe.",
    complexity: queryCost,
    args: {
      of: t.arg({ type: RateLimitedInput, required: true, description: "Whose limits." }),
      limits: t.arg({ type: RateLimitsInput, required: true, description: "The limits to change." }),
    },
    resolve: async (_root, { of, limits }, { store }) => {
      const subject = of.apiKey ? { keyId: of.apiKey.id } : { projectId: of.project?.id ?? "" };
      return listed(await store.accounts.setRates(subject, limits));
    },
  }),
);

function listed(rates: OwnRates) {
  return rateNames.flatMap((name) => {
    const set = rates[name];
    return set === undefined ? [] : [{ name, limit: set }];
  });
}
