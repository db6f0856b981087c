/**
 * Spans of GraphQL operations, over HTTP and WebSocket, and of the mutations in them. They are named by the fields of the
 * schema that are asked for; names, variables and texts that the client chose are in none.
 */
import {
  type ExecutionArgs,
  type GraphQLFieldConfigMap,
  GraphQLObjectType,
  GraphQLSchema,
  Kind,
  type OperationDefinitionNode,
  getOperationAST,
} from "graphql";
import type { Plugin } from "graphql-yoga";
import { type Span, type Tracing, inSpan } from "../schema/tracing.ts";
import { isErrorCode } from "./errors.ts";
import { schema } from "./graphql/schema.ts";

export function tracedOperations(tracing: Tracing): Plugin {
  const traced = withTracedMutations(schema, tracing);
  return {
    onExecute: ({ executeFn, setExecuteFn }) =>
      setExecuteFn((args) =>
        inOperation(tracing, args, async (span) => {
          const result: unknown = await executeFn({ ...args, schema: traced });
          markErrors(span, result);
          return result;
        }),
      ),
    // Until the stream begins. How long it lasts is the subscriber's business.
    onSubscribe: ({ subscribeFn, setSubscribeFn }) =>
      setSubscribeFn((args) => inOperation(tracing, args, async () => (await subscribeFn(args)) as unknown)),
  };
}

function inOperation<Result>(tracing: Tracing, args: ExecutionArgs, work: (span: Span) => Promise<Result>) {
  const operation = getOperationAST(args.document, args.operationName);
  const parent = parents.get(args.contextValue as object);
  return inSpan(
    tracing,
    nameOf(operation),
    {
      attributes: { "graphql.operation.type": operation?.operation ?? "unknown" },
      ...(parent !== undefined && { kind: "SERVER", parent }),
    },
    work,
  );
}

/** Over a WebSocket there is no request around an operation: its traceparent, by its context. */
const parents = new WeakMap<object, string | null>();

/** @param extensions what the operation brings; `traceparent` in it comes before that of the socket's own request */
export function traceFrom(context: object, extensions: unknown, ofSocket: string | null): void {
  const own = typeof extensions === "object" && extensions !== null && "traceparent" in extensions;
  parents.set(context, own && typeof extensions.traceparent === "string" ? extensions.traceparent : ofSocket);
}

/** Names of fields that are named, at most. */
const mostNames = 3;

/** Such as `mutation createFineTune`; the document is valid, so that its fields are the schema's. */
function nameOf(operation: OperationDefinitionNode | null | undefined): string {
  if (!operation) return "operation";
  const names = operation.selectionSet.selections.flatMap((field) =>
    field.kind === Kind.FIELD ? field.name.value : [],
  );
  const more = names.length > mostNames ? [`${names.length - mostNames} more`] : [];
  return `${operation.operation} ${[...names.slice(0, mostNames), ...more].join(", ")}`.trim();
}

/** The schema, in which each mutation's resolver has a span. The given one stays as it is. */
function withTracedMutations(given: GraphQLSchema, tracing: Tracing): GraphQLSchema {
  const { mutation, types, ...rest } = given.toConfig();
  if (!mutation) return given;
  const config = mutation.toConfig();
  const fields: GraphQLFieldConfigMap<unknown, unknown> = Object.fromEntries(
    Object.entries(config.fields).map(([name, { resolve, ...field }]) => [
      name,
      {
        ...field,
        ...(resolve && {
          resolve: (...args: Parameters<typeof resolve>): unknown =>
            inSpan(tracing, `resolve ${name}`, {}, async () => resolve(...args)),
        }),
      },
    ]),
  );
  const traced = new GraphQLObjectType({ ...config, fields });
  return new GraphQLSchema({
    ...rest,
    mutation: traced,
    types: types.map((type) => (type === mutation ? traced : type)),
  });
}

function markErrors(span: Span, result: unknown): void {
  if (typeof result !== "object" || result === null || !("errors" in result) || !Array.isArray(result.errors)) return;
  const [first] = result.errors as readonly { readonly extensions?: { readonly code?: unknown } }[];
  if (!first) return;
  const code = first.extensions?.code;
  span.failed(isErrorCode(code) ? code : "INTERNAL");
}
