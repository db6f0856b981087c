/** The schema builder: the plugins that the API uses, and the settings of all of its fields. */
import SchemaBuilder from "@pothos/core";
import ComplexityPlugin from "@pothos/plugin-complexity";
import DataloaderPlugin from "@pothos/plugin-dataloader";
import RelayPlugin, { decodeGlobalID } from "@pothos/plugin-relay";
import ValidationPlugin from "@pothos/plugin-validation";
import { z } from "zod";
import { SteplogError } from "../../schema/errors.ts";
import { limits } from "../../schema/limits.ts";
import type { Context } from "../context.ts";
import { invalidArgument } from "../errors.ts";

/** Cost of a field that queries the database. */
export const queryCost = 10;

export const builder = new SchemaBuilder<{
  Context: Context;
  DefaultFieldNullability: false;
  /** What every connection can tell besides its page. */
  Connection: { readonly count: () => Promise<number> };
  Scalars: {
    ID: { Input: string; Output: string };
    DateTime: { Input: Date; Output: Date };
    Date: { Input: string; Output: string };
    SafeInt: { Input: number; Output: number };
    LearningRate: { Input: number | "AUTO"; Output: number | "AUTO" };
  };
}>({
  plugins: [RelayPlugin, ValidationPlugin, DataloaderPlugin, ComplexityPlugin],
  defaultFieldNullability: false,
  relay: {
    decodeGlobalID: decodeId,
    nodesOnConnection: { description: "The items.", complexity: { field: 1, multiplier: 1 } },
    nodeTypeOptions: { description: "An object that can be fetched again by its id." },
    idFieldOptions: { description: "Opaque id, unique across all types." },
    nodeQueryOptions: {
      description: "The object with this id; null if there is none.",
      args: { id: { description: "An id that this API returned." } },
    },
    nodesQueryOptions: {
      description: "The objects with these ids, in the same order; null where there is none.",
      args: {
        ids: {
          description: `Ids that this API returned, at most ${limits.pageSize}.`,
          validate: z.array(z.unknown()).max(limits.pageSize),
        },
      },
    },
    pageInfoTypeOptions: { description: "The position of a page in its list." },
    hasNextPageFieldOptions: { description: "Whether more items follow this page." },
    hasPreviousPageFieldOptions: { description: "Whether items precede this page." },
    startCursorFieldOptions: { description: "Cursor of the first item, for `before`; null for an empty page." },
    endCursorFieldOptions: { description: "Cursor of the last item, for `after`; null for an empty page." },
    firstArgOptions: {
      description: `Number of items from the start, 0 to ${limits.pageSize}. Default 20. Cannot be combined with \`last\`.`,
    },
    lastArgOptions: { description: `Number of items from the end, 0 to ${limits.pageSize}.` },
    afterArgOptions: { description: "Return items after this cursor." },
    beforeArgOptions: { description: "Return items before this cursor." },
    defaultConnectionTypeOptions: { description: "One page of a list, newest first." },
    defaultEdgeTypeOptions: { description: "An item and its cursor." },
    cursorFieldOptions: { description: "Position of the item in the list, for `after` and `before`." },
    nodeFieldOptions: { description: "The item." },
    edgesFieldOptions: { description: "The items with their cursors.", complexity: { field: 1, multiplier: 1 } },
    pageInfoFieldOptions: { description: "The position of this page in the list." },
  },
  // The plugin keeps each field's cost in the schema; cost.ts adds them up, those of introspection and __typename too.
  complexity: { disabled: true },
  validation: { validationError: (failure) => invalidArgument(failure.issues) },
});

builder.globalConnectionField("totalCount", (t) =>
  t.int({
    description: "How many items all pages have together.",
    complexity: queryCost,
    resolve: ({ count }) => count(),
  }),
);

function decodeId(id: string): { typename: string; id: string } {
  try {
    return decodeGlobalID(id);
  } catch {
    throw new SteplogError("INVALID_ARGUMENT", `"${id.slice(0, 100)}" is not a valid id.`, [
      { message: "Use an id that this API returned." },
    ]);
  }
}

builder.queryType({ description: "Reads data." });
builder.mutationType({
  description:
    "Changes data. Each description says whether the mutation can be repeated safely when its answer was lost.",
});
builder.subscriptionType({
  description:
    "Live streams over WebSocket (graphql-transport-ws) or server-sent events. After a broken connection, subscribe " +
    "again with the last cursor: the stream continues without gaps or duplicates.",
});
