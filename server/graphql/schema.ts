/** The GraphQL schema. One noun a file; importing it adds it. schema/api.graphql is this, printed. */
import { lexicographicSortSchema, printSchema } from "graphql";
import "./scalars.ts";
import "./base-model.ts";
import "./found-model.ts";
import "./dataset.ts";
import "./fine-tune.ts";
import "./create-fine-tune.ts";
import "./fork.ts";
import "./step.ts";
import "./event.ts";
import "./checkpoint.ts";
import "./service.ts";
import { builder } from "./builder.ts";

export const schema = builder.toSchema({ sortSchema: true });

/** The text of schema/api.graphql. */
export function printedSchema(): string {
  return `${printSchema(lexicographicSortSchema(schema))}\n`;
}
