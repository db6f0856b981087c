/** Base models: what a fine-tune starts from. Workers register those in their models folder. */
import { hasChatTemplate } from "../../chat-template.ts";
import { builder, queryCost } from "../builder.ts";
import { BaseModelRef } from "../nodes.ts";
import { pageCost, pageOf } from "../page.ts";

BaseModelRef.implement({
  description: "A language model in Hugging Face format that the workers can fine-tune.",
  fields: (t) => ({
    name: t.exposeString("name", { description: "Unique name: that of its folder." }),
    hash: t.exposeString("hash", {
      description:
        "Base hash (see the step log format), 64 hex digits. It identifies the exact weights, however they are sharded.",
    }),
    family: t.exposeString("family", { description: "Architecture, from its config: llama, gpt2, ..." }),
    dtype: t.exposeString("dtype", { description: "Number format of the weights: F32 or BF16." }),
    parameters: t.expose("parameters", { type: "SafeInt", description: "Number of weights." }),
    bytes: t.expose("bytes", { type: "SafeInt", description: "Size of the weights in bytes." }),
    contextLength: t.exposeInt("contextLength", { description: "Longest sequence in tokens." }),
    chatTemplate: t.boolean({
      nullable: true,
      description:
        "Whether it has a chat template, so that it takes conversations; null where its tokenizer cannot be read now.",
      complexity: queryCost * 5,
      resolve: (model, _args, context) => hasChatTemplate(context, model),
    }),
    createdAt: t.expose("createdAt", { type: "DateTime", description: "When a worker first registered it." }),
  }),
});

builder.queryField("baseModels", (t) =>
  t.connection(
    {
      type: BaseModelRef,
      description: "The base models that can be fine-tuned, newest first.",
      complexity: pageCost,
      resolve: (_root, args, { store: { baseModels } }) =>
        pageOf(
          args,
          (page) => baseModels.list(page),
          () => baseModels.count(),
        ),
    },
    { name: "BaseModelConnection" },
    { name: "BaseModelEdge" },
  ),
);

builder.queryField("baseModel", (t) =>
  t.field({
    type: BaseModelRef,
    nullable: true,
    description: "The base model of this name; null if there is none.",
    complexity: queryCost,
    args: { name: t.arg.string({ required: true, description: "The name." }) },
    resolve: (_root, { name }, { store }) => store.baseModels.getByName(name),
  }),
);

builder.mutationField("deleteBaseModel", (t) =>
  t.boolean({
    description:
      "Deletes a base model, with its completions and evaluations, and its stored files after a day. Only an operator may: scope " +
      "ADMIN in the default project. One that fine-tunes need, or an alias points at, stays (CONFLICT names them). Folders of it on " +
      "workers stay, and are found again: `steplog model remove` deletes them. True if there was one: repeating it is safe.",
    complexity: queryCost,
    args: { id: t.arg.globalID({ for: BaseModelRef, required: true, description: "Id of a base model." }) },
    resolve: (_root, { id }, { store }) => store.administration.deleteBaseModel(id.id),
  }),
);
