/** Found models: folders in the models folder that are not registered as base models yet. Clients register them by name. */
import { didYouMean } from "../../../schema/did-you-mean.ts";
import { limits } from "../../../schema/limits.ts";
import type { BaseModel, FoundModel } from "../../../schema/tables.ts";
import type { ProjectStore } from "../../../store/store.ts";
import { builder, queryCost } from "../builder.ts";
import { listed, notFound } from "../lookup.ts";
import { BaseModelRef } from "../nodes.ts";

const FoundModelRef = builder.objectRef<FoundModel>("FoundModel").implement({
  description:
    "A folder in the workers' models folder that is not registered as a base model yet, as a worker last saw it.",
  fields: (t) => ({
    name: t.exposeString("name", { description: "Unique name of the folder." }),
    family: t.exposeString("family", {
      nullable: true,
      description: "Architecture, from its config: llama, gpt2, ... Null when the folder cannot be used.",
    }),
    dtype: t.exposeString("dtype", {
      nullable: true,
      description: "Number format of the weights: F32 or BF16. Null when the folder cannot be used.",
    }),
    parameters: t.expose("parameters", {
      type: "SafeInt",
      nullable: true,
      description: "Number of weights. Null when the folder cannot be used.",
    }),
    bytes: t.expose("bytes", {
      type: "SafeInt",
      nullable: true,
      description: "Size of the weights in bytes. Null when the folder cannot be used.",
    }),
    contextLength: t.exposeInt("contextLength", {
      nullable: true,
      description: "Longest sequence in tokens. Null when the folder cannot be used.",
    }),
    registering: t.boolean({
      description:
        "Whether its registration was requested. Once registered, it is a base model and no longer listed here.",
      resolve: (model) => model.requestedAt !== null,
    }),
    problem: t.string({
      nullable: true,
      description: "Why it cannot be used, or why the last registration failed; null otherwise.",
      resolve: (model) => model.problem ?? model.failure,
    }),
  }),
});

builder.queryField("foundModels", (t) =>
  t.field({
    type: [FoundModelRef],
    description:
      `Folders in the workers' models folder that are not base models yet, sorted by name, at most ${limits.pageSize}. ` +
      "Workers look for new ones every few seconds.",
    complexity: { field: queryCost, multiplier: limits.pageSize },
    resolve: (_root, _args, { store }) => store.foundModels.list(limits.pageSize),
  }),
);

/** Exactly one of the two is not null. */
interface Registration {
  readonly found: FoundModel | null;
  readonly model: BaseModel | null;
}

const RegisterBaseModelPayload = builder.objectRef<Registration>("RegisterBaseModelPayload").implement({
  description: "The state of a registration. Exactly one of the two fields is not null.",
  fields: (t) => ({
    foundModel: t.field({
      type: FoundModelRef,
      nullable: true,
      description: "The folder, while it waits for a worker to register it; null once it is a base model.",
      resolve: ({ found }) => found,
    }),
    baseModel: t.field({
      type: BaseModelRef,
      nullable: true,
      description: "The base model with this name; null until a worker has registered it.",
      resolve: ({ model }) => model,
    }),
  }),
});

builder.mutationField("registerBaseModel", (t) =>
  t.field({
    type: RegisterBaseModelPayload,
    description:
      "Asks a worker to check a found model and register it as a base model, which takes minutes for a large one. " +
      "Repeating it while the registration runs, or after it succeeded, changes nothing; after a failure (see `problem`) " +
      "it tries again.",
    complexity: queryCost,
    args: { name: t.arg.string({ required: true, description: "Name of a folder that `foundModels` lists." }) },
    resolve: async (_root, { name }, { store }): Promise<Registration> => {
      const model = await store.baseModels.getByName(name);
      if (model) return { model, found: null };
      return { model: null, found: await requestRegistration(store, name) };
    },
  }),
);

/** Requests the registration. Only names that a worker found are accepted, so that clients cannot probe paths. */
async function requestRegistration(store: ProjectStore, name: string): Promise<FoundModel> {
  const found = await store.foundModels.requestRegistration(name);
  if (found) return found;
  const names = (await store.foundModels.list(limits.pageSize)).map((row) => row.name);
  const known = names.length > 0 ? `Found models: ${names.slice(0, listed).join(", ")}.` : "There are no found models.";
  return notFound("name", `No worker has found a folder named "${name}".${didYouMean(name, names)} ${known}`);
}
