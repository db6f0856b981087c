/** Writes src/api/operations.ts: npm run generate:dashboard. */
import { readFileSync, writeFileSync } from "node:fs";
import { operationTypes } from "./api-types.ts";

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");
const text = operationTypes(read("../schema/api.graphql"), read("src/api/operations.graphql"));
writeFileSync(new URL("src/api/operations.ts", import.meta.url), text);
