/**
 * Generates the types of the page's operations from schema/api.graphql and src/api/operations.graphql. The usual
 * generator would bring 35 packages, which need a newer Node than we do.
 */
import {
  buildSchema,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  parse,
  print,
  typeFromAST,
  validate,
  visit,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLInputType,
  type GraphQLObjectType,
  type GraphQLSchema,
  type GraphQLType,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from "graphql";

const scalars: Readonly<Record<string, string>> = {
  ID: "string",
  String: "string",
  DateTime: "string",
  Int: "number",
  Float: "number",
  SafeInt: "number",
  LearningRate: 'number | "AUTO"',
  Boolean: "boolean",
};

/** The text of operations.ts. @throws when an operation does not fit the schema. */
export function operationTypes(schemaText: string, operationsText: string): string {
  const schema = buildSchema(schemaText);
  const document = parse(operationsText);
  const errors = validate(schema, document);
  if (errors.length > 0) throw new Error(errors.map((error) => String(error)).join("\n\n"));
  const operations = document.definitions.filter((node) => node.kind === Kind.OPERATION_DEFINITION);
  return [
    "// Made by `npm run generate:dashboard` from schema/api.graphql and operations.graphql. Do not edit.",
    'import { operation } from "./operation.ts";',
    ...inputTypes(schema, operations),
    ...document.definitions.flatMap((node) =>
      node.kind === Kind.FRAGMENT_DEFINITION ? [fragmentType(schema, node)] : [],
    ),
    ...operations.map((node) => operationType(schema, document, node)),
    "",
  ].join("\n\n");
}

/** Input objects used by the operations' variables, including nested ones. */
function inputTypes(schema: GraphQLSchema, operations: readonly OperationDefinitionNode[]): string[] {
  const found = new Map<string, string>();
  const add = (type: GraphQLType): void => {
    const named = getNamedType(type);
    if (!isInputObjectType(named) || found.has(named.name)) return;
    const fields = Object.values(named.getFields());
    const lines = fields.map((field) => `  readonly ${field.name}${optional(field.type)}: ${inputTs(field.type)};`);
    found.set(named.name, `export interface ${named.name} {\n${lines.join("\n")}\n}`);
    for (const field of fields) add(field.type);
  };
  for (const { type } of operations.flatMap((node) => variablesOf(schema, node))) add(type);
  return [...found.values()];
}

function variablesOf(schema: GraphQLSchema, node: OperationDefinitionNode) {
  return (node.variableDefinitions ?? []).map((definition) => ({
    name: definition.variable.name.value,
    type: typeFromAST(schema, definition.type) as GraphQLInputType,
  }));
}

const optional = (type: GraphQLInputType) => (isNonNullType(type) ? "" : "?");

function inputTs(type: GraphQLType): string {
  if (isNonNullType(type)) return inputTs(type.ofType).replace(/ \| null$/, "");
  if (isListType(type)) return `readonly (${inputTs(type.ofType)})[] | null`;
  return `${leafTs(type)} | null`;
}

function leafTs(type: GraphQLType): string {
  const named = getNamedType(type);
  if (isEnumType(named)) {
    return named
      .getValues()
      .map(({ name }) => JSON.stringify(name))
      .join(" | ");
  }
  return scalars[named.name] ?? named.name;
}

function operationType(schema: GraphQLSchema, document: DocumentNode, node: OperationDefinitionNode): string {
  const name = node.name?.value ?? "";
  const root = schema.getRootType(node.operation);
  if (!name || !root) throw new Error(`an operation needs a name, and the schema its root: ${print(node)}`);
  const fragments = fragmentsOf(document, node);
  const variables = variablesOf(schema, node).map(({ name: key, type }) => `${key}${optional(type)}: ${inputTs(type)}`);
  const text = [...fragments.values(), node].map((part) => print(part)).join("\n\n");
  return [
    `export type ${name}Result = ${selectionTs(root, node.selectionSet, "")};`,
    `export const ${lowerFirst(name)} = operation<${name}Result, { ${variables.join("; ")} }>(`,
    `  "${name}", \`${text}\`,\n);`,
  ].join("\n");
}

/** Fragments that the operation uses, directly or through other fragments. */
function fragmentsOf(document: DocumentNode, node: OperationDefinitionNode): Map<string, FragmentDefinitionNode> {
  const found = new Map<string, FragmentDefinitionNode>();
  const collect = (part: OperationDefinitionNode | FragmentDefinitionNode): void => {
    visit(part, {
      FragmentSpread: ({ name }) => {
        const fragment = document.definitions.find(
          (other) => other.kind === Kind.FRAGMENT_DEFINITION && other.name.value === name.value,
        );
        if (fragment?.kind !== Kind.FRAGMENT_DEFINITION || found.has(name.value)) return;
        found.set(name.value, fragment);
        collect(fragment);
      },
    });
  };
  collect(node);
  return found;
}

function fragmentType(schema: GraphQLSchema, node: FragmentDefinitionNode): string {
  const parent = schema.getType(node.typeCondition.name.value);
  if (!isObjectType(parent)) throw new Error(`fragment ${node.name.value} is not on an object type`);
  return `export type ${node.name.value} = ${selectionTs(parent, node.selectionSet, "")};`;
}

/** An object type, intersected with the types of the fragments that the selection spreads. */
function selectionTs(parent: GraphQLObjectType, set: SelectionSetNode, indent: string): string {
  const spread: string[] = [];
  const fields: string[] = [];
  for (const selection of set.selections) {
    if (selection.kind === Kind.INLINE_FRAGMENT) throw new Error("inline fragments are not supported");
    if (selection.kind === Kind.FRAGMENT_SPREAD) spread.push(selection.name.value);
    else fields.push(`${indent}  readonly ${fieldTs(parent, selection, indent)};`);
  }
  const own = fields.length > 0 ? [`{\n${fields.join("\n")}\n${indent}}`] : [];
  return [...spread, ...own].join(" & ");
}

function fieldTs(parent: GraphQLObjectType, { name, alias, selectionSet }: FieldNode, indent: string): string {
  const type = parent.getFields()[name.value]?.type;
  if (!type) throw new Error(`${parent.name} has no field ${name.value}`);
  const of = (leaf: GraphQLType): string => {
    const named = getNamedType(leaf);
    return isObjectType(named) && selectionSet ? selectionTs(named, selectionSet, `${indent}  `) : leafTs(leaf);
  };
  return `${alias?.value ?? name.value}: ${outputTs(type, of)}`;
}

function outputTs(type: GraphQLType, of: (leaf: GraphQLType) => string): string {
  if (isNonNullType(type)) return outputTs(type.ofType, of).replace(/ \| null$/, "");
  if (isListType(type)) return `readonly (${outputTs(type.ofType, of)})[] | null`;
  return `${of(type)} | null`;
}

const lowerFirst = (name: string) => name.charAt(0).toLowerCase() + name.slice(1);
