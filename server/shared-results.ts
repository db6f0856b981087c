/**
 * Subscribers of one run often ask for the same of each row. Where an answer depends on nothing but the row and the selection
 * (fields marked with `onlyRow`), it is computed once for all of them, with its errors as clients may see them. What a viewer
 * may see is decided before, when its stream begins: the row reaches only those who may have it.
 */
import {
  Kind,
  createSourceEventStream,
  execute,
  getOperationAST,
  visit,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  type FieldNode,
  type GraphQLError,
  type GraphQLSchema,
} from "graphql";
import { isAsyncIterable, isPromise, type Plugin } from "graphql-yoga";
import { over, streamOver } from "./streams.ts";

/** The extension of a subscription field whose answers depend on the row and the selection alone. */
export const onlyRow = { onlyRow: true } as const;

/** Rows whose answers are kept. Subscribers get a row within moments of each other, or else it is computed again. */
const keptRows = 256;
/** Selections of a row whose answers are kept, and characters of a query whose answers are. */
const [keptSelections, keptQuery] = [8, 2_000];

type Answer = ExecutionResult | Promise<ExecutionResult>;
type Answers = Map<string, Answer>;
/** An error as the client may see it. */
type Mask = (error: unknown) => GraphQLError;

export function sharedResults(mask: Mask): Plugin {
  const kept = new Map<unknown, Answers>();
  return {
    onSubscribe: ({ args, setSubscribeFn }) => {
      const selection = sharedSelection(args);
      if (selection !== null) setSubscribeFn((given: ExecutionArgs) => subscribe(given, { kept, selection, mask }));
    },
  };
}

/**
 * The last plugin. Those that yoga adds after it look at each result of each subscriber for errors to mask, which takes longer
 * than sending it, and shared ones are masked already.
 */
export function unwatchedResults(): Plugin {
  return {
    onSubscribe: async ({ args, subscribeFn, setResultAndStopExecution }) => {
      if (sharedSelection(args) !== null)
        setResultAndStopExecution((await subscribeFn(args)) as AsyncGenerator<ExecutionResult> | ExecutionResult);
    },
  };
}

interface Sharing {
  readonly kept: Map<unknown, Answers>;
  readonly selection: string;
  readonly mask: Mask;
}

async function subscribe(args: ExecutionArgs, { kept, selection, mask }: Sharing) {
  const events = await createSourceEventStream(args);
  if (!isAsyncIterable(events)) return masked(events, mask);
  const rows = events[Symbol.asyncIterator]();
  return mapped(rows, (row) => {
    const answers = answersTo(kept, row);
    const known = answers.get(selection);
    if (known) return known;
    const executed = execute({ ...args, rootValue: row });
    const answer = isPromise(executed) ? executed.then((result) => masked(result, mask)) : masked(executed, mask);
    if (answers.size < keptSelections) answers.set(selection, answer);
    return answer;
  });
}

function masked(result: ExecutionResult, mask: Mask): ExecutionResult {
  return result.errors ? { ...result, errors: result.errors.map(mask) } : result;
}

function answersTo(kept: Map<unknown, Answers>, row: unknown): Answers {
  const known = kept.get(row);
  if (known) return known;
  const answers: Answers = new Map();
  kept.set(row, answers);
  // A map keeps the order of insertion, so the first is the oldest.
  if (kept.size > keptRows) kept.delete(kept.keys().next().value);
  return answers;
}

function mapped<Row>(rows: AsyncIterator<Row>, map: (row: Row) => Answer): AsyncGenerator<ExecutionResult, void, void> {
  const given = (value: ExecutionResult) => ({ value, done: false }) as const;
  const answered = (next: IteratorResult<Row>) => {
    if (next.done === true) return over;
    const answer = map(next.value);
    return isPromise(answer) ? answer.then(given) : given(answer);
  };
  return streamOver(rows, () => rows.next().then(answered));
}

// What a subscription selects

/** Equal for subscriptions whose answers to a row are; null where they may differ for other reasons. */
function sharedSelection({ schema, document, operationName, variableValues }: ExecutionArgs): string | null {
  const found = selections.get(document) ?? selectionOf(schema, document);
  selections.set(document, found);
  if (!found.isShared) return null;
  const values = found.variables.map((name) => variableValues?.[name] ?? null);
  return JSON.stringify([found.number, operationName ?? null, values]);
}

interface Selection {
  readonly isShared: boolean;
  /** Of the document: the gateway parses equal texts once. */
  readonly number: number;
  /** Used elsewhere than in the arguments of the subscribed field, which choose its rows. */
  readonly variables: readonly string[];
}

const selections = new WeakMap<DocumentNode, Selection>();
let documents = 0;

function selectionOf(schema: GraphQLSchema, document: DocumentNode): Selection {
  documents += 1;
  const root = rootOf(document);
  const field = root && schema.getSubscriptionType()?.getFields()[root.name.value];
  const isShort = (document.loc?.source.body.length ?? Infinity) <= keptQuery;
  const isShared = field?.extensions["onlyRow"] === true && isShort;
  return { isShared, number: documents, variables: root ? variablesBeside(document, root) : [] };
}

/** The subscribed field of a document with one operation, whose field is not in a fragment; null for others, which are rare. */
function rootOf(document: DocumentNode): FieldNode | null {
  const [first, ...more] = getOperationAST(document)?.selectionSet.selections ?? [];
  return first?.kind === Kind.FIELD && more.length === 0 ? first : null;
}

function variablesBeside(document: DocumentNode, root: FieldNode): string[] {
  const names = new Set<string>();
  const choosing = new Set<unknown>(root.arguments);
  visit(document, {
    VariableDefinition: () => false,
    Argument: (argument) => (choosing.has(argument) ? false : undefined),
    Variable: ({ name }) => void names.add(name.value),
  });
  return [...names];
}
