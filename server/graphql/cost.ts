/**
 * The cost of one operation, before it runs. A field costs 1, or what its definition says (builder.ts); a list multiplies
 * the cost of an item by the number of items. `__typename`, aliases and introspection count like all other fields.
 */
import {
  getArgumentValues,
  getNamedType,
  getNullableType,
  getVariableValues,
  isCompositeType,
  isListType,
  isObjectType,
  isInterfaceType,
  Kind,
  SchemaMetaFieldDef,
  TypeMetaFieldDef,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from "graphql";
import { requestError } from "../errors.ts";

/** The largest page with every field of a run costs about 20,000. */
const most: Cost = { complexity: 50_000, depth: 12, breadth: 400 };

/** Items of a list whose field does not say how many there are; the lists of introspection are shorter. */
const usualItems = 10;
const introspectedItems = 8;

/** What Pothos keeps of the option `complexity` of a field. */
type Price = number | { readonly field?: number; readonly multiplier?: number };

interface Cost {
  readonly complexity: number;
  /** Levels of fields. */
  readonly depth: number;
  /** Fields, with fragments expanded. */
  readonly breadth: number;
}

/** As answers have it, in extensions.cost. */
export interface OperationCost extends Cost {
  /** The most that each may be. */
  readonly allowed: Cost;
}

/** Null where there is no such operation, as execution will say. */
export function costOf(
  schema: GraphQLSchema,
  document: DocumentNode,
  operationName: string | null | undefined,
  variables: Readonly<Record<string, unknown>>,
): OperationCost | null {
  const operation = operationIn(document, operationName);
  const type = operation && schema.getRootType(operation.operation);
  if (!operation || !type) return null;
  const { coerced } = getVariableValues(schema, operation.variableDefinitions ?? [], variables, { maxErrors: 10 });
  const cost = new Walk(schema, document, coerced ?? {}).selection(operation.selectionSet, type);
  return { ...cost, allowed: most };
}

/** @throws GraphQLError INVALID_ARGUMENT */
export function checkCost(cost: OperationCost): void {
  const over = (["depth", "breadth", "complexity"] as const).filter((kind) => cost[kind] > most[kind]);
  const [kind] = over;
  if (kind === undefined) return;
  const seen = over.map((one) => `its ${one} is ${cost[one]}, and the limit is ${most[one]}`).join("; ");
  throw requestError(`The operation is too large: ${seen}. Request fewer items or fields.`);
}

function operationIn(document: DocumentNode, name: string | null | undefined): OperationDefinitionNode | undefined {
  const operations = document.definitions.filter((one) => one.kind === Kind.OPERATION_DEFINITION);
  return name == null ? operations[0] : operations.find((one) => one.name?.value === name);
}

class Walk {
  readonly #schema: GraphQLSchema;
  readonly #variables: Readonly<Record<string, unknown>>;
  readonly #fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  /** A fragment that is used often is walked once for each type. */
  readonly #known = new Map<SelectionSetNode, Map<GraphQLNamedType, Cost>>();

  constructor(schema: GraphQLSchema, document: DocumentNode, variables: Readonly<Record<string, unknown>>) {
    this.#schema = schema;
    this.#variables = variables;
    const fragments = document.definitions.filter((one) => one.kind === Kind.FRAGMENT_DEFINITION);
    this.#fragments = new Map(fragments.map((one) => [one.name.value, one]));
  }

  selection(set: SelectionSetNode, type: GraphQLNamedType): Cost {
    const ofSet = this.#known.get(set) ?? new Map<GraphQLNamedType, Cost>();
    this.#known.set(set, ofSet);
    const known = ofSet.get(type);
    if (known) return known;
    const costs = set.selections.map((one) => {
      if (one.kind === Kind.FIELD) return this.#field(one, type);
      const fragment = one.kind === Kind.FRAGMENT_SPREAD ? this.#fragments.get(one.name.value) : one;
      const condition = fragment?.typeCondition && this.#schema.getType(fragment.typeCondition.name.value);
      return fragment ? this.selection(fragment.selectionSet, condition ?? type) : nothing;
    });
    const sum = costs.reduce(add, nothing);
    ofSet.set(type, sum);
    return sum;
  }

  #field(node: FieldNode, type: GraphQLNamedType): Cost {
    const field = this.#definition(node.name.value, type);
    const usual = type.name.startsWith("__") ? introspectedItems : usualItems;
    const { own, items } = field ? this.#price(field, node, usual) : { own: 1, items: 1 };
    const inner = field && getNamedType(field.type);
    const below =
      node.selectionSet && inner && isCompositeType(inner) ? this.selection(node.selectionSet, inner) : nothing;
    const isMeta = field === SchemaMetaFieldDef || field === TypeMetaFieldDef;
    return {
      complexity: own + Math.max(items, 0) * below.complexity,
      // The usual introspection is deep, and GraphQL limits how often its lists are nested.
      depth: 1 + (isMeta ? 0 : below.depth),
      breadth: 1 + below.breadth,
    };
  }

  #definition(name: string, type: GraphQLNamedType): GraphQLField<unknown, unknown> | undefined {
    if (name === SchemaMetaFieldDef.name) return SchemaMetaFieldDef;
    if (name === TypeMetaFieldDef.name) return TypeMetaFieldDef;
    return isObjectType(type) || isInterfaceType(type) ? type.getFields()[name] : undefined;
  }

  #price(field: GraphQLField<unknown, unknown>, node: FieldNode, ofList: number): { own: number; items: number } {
    const usual = isListType(getNullableType(field.type)) ? ofList : 1;
    const said = field.extensions["complexity"] as Price | ((args: object) => Price) | undefined;
    const price = typeof said === "function" ? said(this.#arguments(field, node)) : said;
    if (typeof price === "number") return { own: price, items: usual };
    return { own: price?.field ?? 1, items: price?.multiplier ?? usual };
  }

  /** Wrong arguments are execution's to refuse, field by field; the others still count. */
  #arguments(field: GraphQLField<unknown, unknown>, node: FieldNode): Record<string, unknown> {
    try {
      return getArgumentValues(field, node, this.#variables);
    } catch {
      return {};
    }
  }
}

const nothing: Cost = { complexity: 0, depth: 0, breadth: 0 };

function add(a: Cost, b: Cost): Cost {
  const depth = Math.max(a.depth, b.depth);
  return { complexity: a.complexity + b.complexity, depth, breadth: a.breadth + b.breadth };
}
