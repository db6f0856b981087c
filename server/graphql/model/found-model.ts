/** Found models: folders that lie beside the base models and are none yet. An operator makes them so, by name. */
import { limits } from "../../../schema/limits.ts";
import type { BaseModel, FoundModel } from "../../../schema/tables.ts";
import type { Store } from "../../../store/store.ts";
import { builder, queryCost } from "../builder.ts";
import { listed, notFound } from "../lookup.ts";
import { BaseModelRef } from "../nodes.ts";

const FoundModelRef = builder.objectRef<FoundModel>("FoundModel").implement({
  description: "A folder of the workers' models folder that is no base model yet, as a worker last saw it.",
  fields: (t) => ({
    name: t.exposeString("name", { description: "Name of the folder, unique." }),
    family: t.exposeString("family", {
      nullable: true,
      description: "Architecture, as its config says; null, like what follows, when it cannot be used.",
    }),
    dtype: t.exposeString("dtype", { nullable: true, description: "Number format of its weights." }),
    parameters: t.expose("parameters", { type: "SafeInt", nullable: true, description: "Number of weights." }),
    bytes: t.expose("bytes", { type: "SafeInt", nullable: true, description: "Size of its weights, bytes." }),
    contextLength: t.exposeInt("contextLength", { nullable: true, description: "Longest sequence, tokens." }),
    registering: t.boolean({
      description: "Whether a worker was asked to register it; when it has, the folder is a base model.",
      resolve: (model) => model.requestedAt !== null,
    }),
    problem: t.string({
      nullable: true,
      description: "Why it cannot be used, or could not be registered when that was last asked for; null otherwise.",
      resolve: (model) => model.problem ?? model.failure,
    }),
  }),
});

builder.queryField("foundModels", (t) =>
  t.field({
    type: [FoundModelRef],
    description:
      `What lies in the workers' models folder and is no base model yet, in order of name, ${limits.pageSize} at most. ` +
      "A worker looks every few seconds.",
    complexity: { field: queryCost, multiplier: limits.pageSize },
    resolve: (_root, _args, { store }) => store.foundModels.list(limits.pageSize),
  }),
);

/** Exactly one of the two is there. */
interface Registration {
  readonly found: FoundModel | null;
  readonly model: BaseModel | null;
}

const RegisterBaseModelPayload = builder.objectRef<Registration>("RegisterBaseModelPayload").implement({
  description: "How far the registration is: one of the two is there.",
  fields: (t) => ({
    foundModel: t.field({
      type: FoundModelRef,
      nullable: true,
      description: "The folder, which a worker is going to read; null once it is a base model.",
      resolve: ({ found }) => found,
    }),
    baseModel: t.field({
      type: BaseModelRef,
      nullable: true,
      description: "The base model of this name; null until a worker has read it.",
      resolve: ({ model }) => model,
    }),
  }),
});

builder.mutationField("registerBaseModel", (t) =>
  t.field({
    type: RegisterBaseModelPayload,
    description:
      "Has a worker read a found model whole and make it a base model, which takes minutes for a large one. Only names " +
      "that `foundModels` lists are taken. Asking again while it is under way, or done, changes nothing; after a " +
      "failure, which `problem` tells, it tries again.",
    complexity: queryCost,
    args: { name: t.arg.string({ required: true, description: "Name of the folder, as `foundModels` lists it." }) },
    resolve: async (_root, { name }, { store }): Promise<Registration> => {
      const model = await store.baseModels.getByName(name);
      if (model) return { model, found: null };
      return { model: null, found: await requestRegistration(store, name) };
    },
  }),
);

/** Asks for its registration. A name that no worker found is refused, so that clients cannot reach for a path. */
async function requestRegistration(store: Store, name: string): Promise<FoundModel> {
  const found = await store.foundModels.requestRegistration(name);
  if (found) return found;
  const names = (await store.foundModels.list(listed)).map((row) => row.name);
  const known = names.length > 0 ? `There are: ${names.join(", ")}.` : "There is none that is not a base model.";
  return notFound("name", `No worker found a folder "${name}". ${known}`);
}
