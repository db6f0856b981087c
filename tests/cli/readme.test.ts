/** The README's GraphQL examples are held against the printed schema, so that they work when pasted. */
import { readFileSync } from "node:fs";
import { buildSchema, parse, validate } from "graphql";
import { expect, test } from "vitest";

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
const schema = buildSchema(readFileSync(new URL("../../schema/api.graphql", import.meta.url), "utf8"));
const examples = [...readme.matchAll(/```graphql\n([\s\S]*?)```/gu)].map(([, text = ""]) => text);

test("there is an example of every field of Query, Mutation and Subscription", () => {
  const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
  const fields = roots.flatMap((root) => Object.keys(root?.getFields() ?? {}));
  // `nodes` is `node` for several ids.
  const missing = fields.filter(
    (field) => field !== "nodes" && !examples.some((text) => new RegExp(`\\b${field}\\b`, "u").test(text)),
  );
  expect(missing).toStrictEqual([]);
});

test.each(examples)("valid against the schema: %s", (text) => {
  expect(validate(schema, parse(text)).map((error) => error.message)).toStrictEqual([]);
});
