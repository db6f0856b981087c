/** The API keeps what the last release promised. */
import { expect, test } from "vitest";
import { brokenPromises, readSchema } from "../../scripts/promise-schema.ts";

const promised = readSchema("schema/promised.graphql");

test("nothing that the last release promised is broken; deprecate it first (CONTRIBUTING.md, Change the API)", () => {
  expect(brokenPromises(promised, readSchema("schema/api.graphql"))).toEqual([]);
});

const api =
  'type Query { old: Int @deprecated(reason: "Ask for new.") kept(n: Int): Int kind: Kind } enum Kind { A B }';

test.each([
  ["a field that goes", "kept(n: Int): Int", "", ["FIELD_REMOVED: Query.kept was removed."]],
  [
    "an argument that becomes required",
    "n: Int",
    "n: Int!",
    ["ARG_CHANGED_KIND: Query.kept arg n has changed type from Int to Int!."],
  ],
  [
    "a field that changes its type",
    "kept(n: Int): Int",
    "kept(n: Int): String",
    ["FIELD_CHANGED_KIND: Query.kept changed type from Int to String."],
  ],
  ["a value that goes", "A B", "A", ["VALUE_REMOVED_FROM_ENUM: B was removed from enum type Kind."]],
  ["a deprecated field that goes", 'old: Int @deprecated(reason: "Ask for new.")', "", []],
  ["a field that comes", "kind: Kind", "kind: Kind more: Int", []],
])("%s", (_what, from, to, broken) => {
  expect(brokenPromises(api, api.replace(from, to))).toEqual(broken);
});
