/**
 * Ids that are none, or of another type, are refused with their place: the relay plugin, which decodes ids before a field
 * runs, says neither which argument had one nor which field of an input.
 */
import { decodeGlobalID } from "@pothos/plugin-relay";
import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLSchema,
  getNamedType,
  isInputObjectType,
  isObjectType,
} from "graphql";
import { invalidArgument } from "../errors.ts";

/** Makes every field of the schema that takes ids look at them first. */
export function withTypedIds(schema: GraphQLSchema): GraphQLSchema {
  const types = Object.values(schema.getTypeMap()).filter((type) => isObjectType(type));
  for (const type of types) Object.values(type.getFields()).forEach(lookAtIds);
  return schema;
}

function lookAtIds(field: GraphQLField<unknown, unknown>): void {
  const { resolve, subscribe, args: taken } = field;
  if (!taken.some((one) => isLookedAt(one))) return;
  const look = (given: Readonly<Record<string, unknown>>) => {
    const issues = issuesOf(taken, given, []);
    if (issues.length > 0) throw invalidArgument(issues);
  };
  const looking = <Result>(run: (...all: Parameters<Resolve>) => Result) =>
    ((...all) => {
      look(all[1] as Readonly<Record<string, unknown>>);
      return run(...all);
    }) satisfies (...all: Parameters<Resolve>) => Result;
  if (resolve) field.resolve = looking(resolve);
  if (subscribe) field.subscribe = looking(subscribe);
}

type Resolve = NonNullable<GraphQLField<unknown, unknown>["resolve"]>;
type Taken = GraphQLArgument | GraphQLInputField;

interface Issue {
  readonly path: readonly string[];
  readonly message: string;
}

/** Inputs are, as they may have ids. */
function isLookedAt({ type, extensions }: Taken): boolean {
  return isId(extensions) || isInputObjectType(getNamedType(type));
}

const isId = (extensions: Taken["extensions"]) => extensions["isRelayGlobalID"] === true;

function issuesOf(
  taken: readonly Taken[],
  given: Readonly<Record<string, unknown>>,
  under: readonly string[],
): Issue[] {
  return taken.filter(isLookedAt).flatMap((one) => issuesIn(one, given[one.name], [...under, one.name]));
}

function issuesIn(one: Taken, value: unknown, path: readonly string[]): Issue[] {
  if (value == null) return [];
  if (Array.isArray(value)) return value.flatMap((item, index) => issuesIn(one, item, [...path, String(index)]));
  if (isId(one.extensions) && typeof value === "string") {
    const message = wrongId(value, typesOf(one.extensions));
    return message === null ? [] : [{ path, message }];
  }
  const type = getNamedType(one.type);
  // A default is there as it was parsed.
  return isInputObjectType(type) && typeof value === "object"
    ? issuesOf(Object.values(type.getFields()), value as Readonly<Record<string, unknown>>, path)
    : [];
}

/** The types whose ids it takes; null for those of any. */
export function typesOf(extensions: Taken["extensions"]): readonly string[] | null {
  const types = extensions["relayGlobalIDFor"] as readonly { readonly typename: string }[] | null | undefined;
  return types == null ? null : types.map(({ typename }) => typename);
}

/** Longer ones are none of ours, and are not told in full. */
const longestTold = 100;

function wrongId(id: string, types: readonly string[] | null): string | null {
  const wanted = types === null ? "an id" : `the id of a ${types.join(" or a ")}`;
  const advice = `give ${wanted} as this API returned it`;
  const type = typeOf(id);
  if (type === null) return `is ${JSON.stringify(id.slice(0, longestTold))}, which is no id; ${advice}`;
  return types === null || types.includes(type) ? null : `is the id of a ${type}; ${advice}`;
}

function typeOf(id: string): string | null {
  try {
    return decodeGlobalID(id).typename;
  } catch {
    return null;
  }
}
