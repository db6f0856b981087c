/**
 * The limits of every operation, over HTTP, event streams and WebSockets alike. What an operation costs, and what it might,
 * is told in `extensions.cost` of its answer; of a subscription, of the first one.
 */
import {
  GraphQLError,
  validate,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  type validate as Validate,
} from "graphql";
import type { Plugin } from "graphql-yoga";
import { SteplogError } from "../../schema/errors.ts";
import { complexityOfPoint } from "../../schema/rates.ts";
import type { Context } from "../context.ts";
import { refusal } from "../errors.ts";
import { checkCost, costOf, type OperationCost } from "./cost.ts";
import { checkDocument, checkQuery, checkVariables } from "./query-limits.ts";
import { schema } from "./schema.ts";
import { over, streamOver } from "../streams.ts";

export function limitedOperations(): Plugin<Context> {
  return {
    onParse: ({ params }) => {
      checkQuery(String(params.source));
      return ({ result }) => {
        if (result && !(result instanceof Error)) checkDocument(result as DocumentNode);
      };
    },
    onValidate: ({ setValidationFn }) => setValidationFn(validateBriefly),
    onExecute: async ({ args, setResultAndStopExecution }) => {
      const { cost, refused } = await judge(args);
      if (refused) return setResultAndStopExecution(withCost({ errors: [refused] }, cost));
      return {
        onExecuteDone: ({ result, setResult }) => {
          if (!(Symbol.asyncIterator in result)) setResult(withCost(result, cost));
        },
      };
    },
    onSubscribe: async ({ args, setResultAndStopExecution }) => {
      const { cost, refused } = await judge(args);
      if (refused) return setResultAndStopExecution(withCost({ errors: [refused] }, cost));
      return { onSubscribeResult: ({ result, setResult }) => setResult(toldOnce(cost, result)) };
    },
  };
}

/** A hundred errors, as is usual, help nobody more than ten, and each is compared with the names of the schema. */
const validateBriefly: typeof Validate = (of, document, rules) => validate(of, document, rules, { maxErrors: 10 });

interface Judged {
  readonly cost: OperationCost | null;
  readonly refused: GraphQLError | null;
}

interface Operation extends Pick<ExecutionArgs, "document" | "operationName" | "variableValues"> {
  readonly contextValue: Context;
}

/** The error is returned, not thrown: on a WebSocket a thrown one would end the other operations too. */
async function judge({ document, operationName, variableValues, contextValue }: Operation): Promise<Judged> {
  let cost: OperationCost | null = null;
  try {
    checkVariables(variableValues);
    cost = costOf(schema, document, operationName, variableValues ?? {});
    if (cost) checkCost(cost);
    // One point was charged for the request itself.
    const points = Math.ceil((cost?.complexity ?? 0) / complexityOfPoint) - 1;
    if (points > 0) await contextValue.charge(points);
    return { cost, refused: null };
  } catch (error) {
    if (error instanceof GraphQLError) return { cost, refused: error };
    if (error instanceof SteplogError) return { cost, refused: refusal(error) };
    throw error;
  }
}

type Answer = ExecutionResult | AsyncIterable<ExecutionResult>;

/** A subscription that is refused has one result, and no stream. */
function toldOnce(cost: OperationCost | null, answer: Answer) {
  if (!(Symbol.asyncIterator in answer)) return withCost(answer, cost);
  const results: AsyncIterator<ExecutionResult> = answer[Symbol.asyncIterator]();
  return withFirst(results, (first) => withCost(first, cost));
}

/** By a stream of its own: a hook of envelop would be called for every result, of a thousand subscribers at each step of a run. */
function withFirst<Item>(items: AsyncIterator<Item>, change: (first: Item) => Item): AsyncGenerator<Item, void, void> {
  let isFirst = true;
  const changed = (next: IteratorResult<Item>) =>
    next.done === true ? over : { value: change(next.value), done: false as const };
  return streamOver(items, () => {
    const next = items.next();
    if (!isFirst) return next;
    isFirst = false;
    return next.then(changed);
  });
}

function withCost(result: ExecutionResult, cost: OperationCost | null): ExecutionResult {
  return cost ? { ...result, extensions: { ...result.extensions, cost } } : result;
}
