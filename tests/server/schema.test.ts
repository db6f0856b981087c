/** The public schema: the committed file is the served schema, and everything in it has a description. */
import { readFileSync } from "node:fs";
import {
  buildSchema,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  isScalarType,
  isSpecifiedScalarType,
  type GraphQLNamedType,
} from "graphql";
import { expect, test } from "vitest";
import { printedSchema, schema } from "../../server/graphql/schema.ts";
import { hyperparameterTable } from "../../schema/hyperparameter-table.ts";

test("schema/api.graphql is the served schema; npm run schema:print writes it", () => {
  const committed = readFileSync(new URL("../../schema/api.graphql", import.meta.url), "utf8");
  expect(printedSchema()).toBe(committed);
});

test("every type, field, argument and value has a description", () => {
  const types = Object.values(schema.getTypeMap());
  const own = types.filter((type) => !type.name.startsWith("__") && !isSpecifiedScalarType(type));
  const bare = own.flatMap((type) => [...(type.description ? [] : [type.name]), ...bareParts(type)]);
  expect(bare).toEqual([]);
});

function bareParts(type: GraphQLNamedType): string[] {
  if (isEnumType(type)) return bare(type.name, type.getValues());
  if (isInputObjectType(type)) return bare(type.name, Object.values(type.getFields()));
  if (!isObjectType(type) && !isInterfaceType(type)) return [];
  const fields = Object.values(type.getFields());
  return [...bare(type.name, fields), ...fields.flatMap((field) => bare(`${type.name}.${field.name}`, field.args))];
}

function bare(owner: string, parts: readonly { name: string; description?: string | null | undefined }[]): string[] {
  return parts.filter((part) => !part.description).map((part) => `${owner}.${part.name}`);
}

test("every scalar names its specification, but the learning rate, which is our own", () => {
  const bare = types().filter((type) => isScalarType(type) && !isSpecifiedScalarType(type) && !type.specifiedByURL);
  expect(bare.map(String)).toEqual(["LearningRate"]);
});

test("an input of which exactly one field is given says so to machines, too", () => {
  const said = types().filter(
    (type) => isInputObjectType(type) && /Give (?:exactly )?one /u.test(type.description ?? ""),
  );
  expect(said.length).toBeGreaterThan(1);
  expect(said.filter((type) => isInputObjectType(type) && !type.isOneOf)).toEqual([]);
});

/** CONTRIBUTING.md, Change the API. */
const deprecation = /^Use \S.*\. Deprecated since \d+\.\d+\.\d+\.$/u;

test("whatever is deprecated says what to use instead, and since which release", () => {
  const reasons = types().flatMap((type) => [...deprecated(type)]);
  expect(reasons.filter((reason) => !deprecation.test(reason))).toEqual([]);
  const old = buildSchema(
    'type Query { a: Int @deprecated b(c: Int @deprecated(reason: "Use `a`.")): Int d: E } enum E { F @deprecated(reason: "Use `G`. Deprecated since 0.2.0.") G }',
  );
  const found = Object.values(old.getTypeMap()).flatMap((type) => [...deprecated(type)]);
  expect(found.filter((reason) => !reason.startsWith("Marks"))).toEqual([
    "No longer supported",
    "Use `a`.",
    "Use `G`. Deprecated since 0.2.0.",
  ]);
  expect(found.filter((reason) => deprecation.test(reason))).toHaveLength(1);
});

interface Deprecable {
  readonly deprecationReason?: string | null | undefined;
  readonly args?: readonly Deprecable[];
}

function* deprecated(type: GraphQLNamedType): Generator<string> {
  for (const part of partsOf(type))
    for (const { deprecationReason } of [part, ...(part.args ?? [])])
      if (deprecationReason != null) yield deprecationReason;
}

function partsOf(type: GraphQLNamedType): readonly Deprecable[] {
  if (isEnumType(type)) return type.getValues();
  const hasFields = isInputObjectType(type) || isObjectType(type) || isInterfaceType(type);
  return hasFields ? Object.values<Deprecable>(type.getFields()) : [];
}

function types(): GraphQLNamedType[] {
  return Object.values(schema.getTypeMap()).filter((type) => !type.name.startsWith("__"));
}

test("the API accepts and returns every hyperparameter", () => {
  const names = Object.keys(hyperparameterTable).toSorted();
  for (const name of ["Hyperparameters", "HyperparametersInput"]) {
    const type = schema.getType(name);
    const fields = isObjectType(type) || isInputObjectType(type) ? Object.keys(type.getFields()) : [];
    expect(fields.toSorted()).toEqual(names);
  }
});

test("descriptions of hyperparameters give range and default", () => {
  const type = schema.getType("HyperparametersInput");
  const fields = isInputObjectType(type) ? type.getFields() : {};
  expect(fields["learningRate"]?.description).toMatch(
    /Must be a number above 0 and up to 10, or AUTO; default: AUTO\./u,
  );
  expect(fields["seed"]?.description).toMatch(/a whole number from 0 to 4294967295; default: 0/u);
  expect(fields["noise"]?.description).toMatch(/NORMAL or RADEMACHER; default: RADEMACHER/u);
  expect(String(getNamedType(fields["seed"]?.type))).toBe("SafeInt");
});
