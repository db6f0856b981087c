/** The schema builder: which plugins the API uses, and what holds for all of its fields. */
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

/**
 * What one operation may cost. A field costs 1, one that reads the database 10, and a list multiplies what is asked
 * of each item by the number of items asked for. The largest page of everything about a run costs some 20,000.
 */
const operationLimits = { complexity: 50_000, depth: 12, breadth: 400 };
/** Cost of a field with a query of its own. */
export const queryCost = 10;

export const builder = new SchemaBuilder<{
  Context: Context;
  DefaultFieldNullability: false;
  Scalars: {
    ID: { Input: string; Output: string };
    DateTime: { Input: Date; Output: Date };
    SafeInt: { Input: number; Output: number };
    LearningRate: { Input: number | "AUTO"; Output: number | "AUTO" };
  };
}>({
  plugins: [RelayPlugin, ValidationPlugin, DataloaderPlugin, ComplexityPlugin],
  defaultFieldNullability: false,
  relay: {
    decodeGlobalID: decodeId,
    nodesOnConnection: { description: "The items.", complexity: { field: 1, multiplier: 1 } },
    nodeTypeOptions: { description: "Anything with an id by which it can be asked for again." },
    idFieldOptions: { description: "Opaque name of the object, unique over all types." },
    nodeQueryOptions: {
      description: "The object of this id; null when there is none.",
      args: { id: { description: "Id as this API gave it out." } },
    },
    nodesQueryOptions: {
      description: "The objects of these ids, in their order; null where there is none.",
      args: {
        ids: {
          description: `Ids as this API gave them out, at most ${limits.pageSize}.`,
          validate: z.array(z.unknown()).max(limits.pageSize),
        },
      },
    },
    pageInfoTypeOptions: { description: "Where a page lies in its list." },
    hasNextPageFieldOptions: { description: "Whether there are items after this page." },
    hasPreviousPageFieldOptions: { description: "Whether there are items before this page." },
    startCursorFieldOptions: { description: "Cursor of the first item, for `before`." },
    endCursorFieldOptions: { description: "Cursor of the last item, for `after`." },
    firstArgOptions: { description: `Items from the start, 0 to ${limits.pageSize}; 20 when not said.` },
    lastArgOptions: { description: `Items from the end, 0 to ${limits.pageSize}.` },
    afterArgOptions: { description: "Only items behind the one of this cursor." },
    beforeArgOptions: { description: "Only items before the one of this cursor." },
    defaultConnectionTypeOptions: { description: "One page of a list, the newest first." },
    defaultEdgeTypeOptions: { description: "An item of a page and its cursor." },
    cursorFieldOptions: { description: "Place of the item in its list, for `after` and `before`." },
    nodeFieldOptions: { description: "The item." },
    edgesFieldOptions: { description: "The items with their cursors.", complexity: { field: 1, multiplier: 1 } },
    pageInfoFieldOptions: { description: "Where this page lies in the list." },
  },
  complexity: {
    limit: operationLimits,
    complexityError: (kind, found) =>
      new SteplogError(
        "INVALID_ARGUMENT",
        `The operation is too large: ${kind.toLowerCase()} ${costOf(found, kind)} of at most ` +
          `${operationLimits[kind.toLowerCase() as keyof typeof operationLimits]}. Ask for fewer items or fields.`,
      ),
  },
  validation: { validationError: (failure) => invalidArgument(failure.issues) },
});

function costOf(found: { complexity: number; depth: number; breadth: number }, kind: string): number {
  if (kind === "Depth") return found.depth;
  return kind === "Breadth" ? found.breadth : found.complexity;
}

function decodeId(id: string): { typename: string; id: string } {
  try {
    return decodeGlobalID(id);
  } catch {
    throw new SteplogError("INVALID_ARGUMENT", `"${id.slice(0, 100)}" is not an id of this API.`, [
      { message: "Give an id as this API gave it out." },
    ]);
  }
}

builder.queryType({ description: "Reads." });
builder.mutationType({ description: "Writes. Each is safe to repeat when its answer was lost, as its text says." });
builder.subscriptionType({
  description:
    "Live streams, over WebSocket (graphql-transport-ws) or server-sent events. Each can be resumed: say behind which " +
    "cursor, and the rest comes with no gap and no double.",
});
