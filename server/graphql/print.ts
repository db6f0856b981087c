/** Writes schema/api.graphql: npm run schema:print. */
import { writeFileSync } from "node:fs";
import { printedSchema } from "./schema.ts";

writeFileSync(new URL("../../schema/api.graphql", import.meta.url), printedSchema());
