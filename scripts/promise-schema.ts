/**
 * Writes schema/promised.graphql, the API as the last release has it: npm run schema:promise, as part of a release. What is in
 * it stays, but for what it marks as deprecated; tests/server/promises.test.ts refuses anything else.
 */
import { readFileSync, writeFileSync } from "node:fs";
import {
  type GraphQLSchema,
  buildSchema,
  findBreakingChanges,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
} from "graphql";

const root = new URL("../", import.meta.url);
export const readSchema = (file: string) => readFileSync(new URL(file, root), "utf8");

/** What would break clients of the promised API, in words. */
export function brokenPromises(promisedText: string, currentText: string): string[] {
  const promised = buildSchema(promisedText);
  return findBreakingChanges(promised, buildSchema(currentText))
    .filter(({ description }) => !wasDeprecated(promised, description))
    .map(({ type, description }) => `${type}: ${description}`);
}

/** Whether a change removes what the promised API marks as deprecated, such as "Dataset.rows was removed." */
function wasDeprecated(promised: GraphQLSchema, description: string): boolean {
  const field = /^(\w+)\.(\w+) was removed\.$/u.exec(description);
  const value = /^(\w+) was removed from enum type (\w+)\.$/u.exec(description);
  const [owner, name] = field ? [field[1], field[2]] : [value?.[2], value?.[1]];
  const type = promised.getType(owner ?? "");
  if (isEnumType(type)) return type.getValue(name ?? "")?.deprecationReason !== undefined;
  if (!isObjectType(type) && !isInterfaceType(type) && !isInputObjectType(type)) return false;
  return type.getFields()[name ?? ""]?.deprecationReason !== undefined;
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const current = readSchema("schema/api.graphql");
  const broken = brokenPromises(readSchema("schema/promised.graphql"), current);
  if (broken.length > 0) throw new Error(`Not written: clients would break.\n${broken.join("\n")}`);
  writeFileSync(new URL("schema/promised.graphql", root), current);
}
