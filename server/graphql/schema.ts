/** The GraphQL schema. Each file adds one type when it is imported. schema/api.graphql is the printed schema. */
import { lexicographicSortSchema, printSchema } from "graphql";
import "./scalars.ts";
import "./model/base-model.ts";
import "./model/found-model.ts";
import "./model/model-download.ts";
import "./dataset/dataset.ts";
import "./dataset/preview-rows.ts";
import "./dataset/stored-rows.ts";
import "./uses.ts";
import "./fine-tune/fine-tune.ts";
import "./fine-tune/labels.ts";
import "./fine-tune/log.ts";
import "./fine-tune/list.ts";
import "./fine-tune/create-fine-tune.ts";
import "./fine-tune/estimate.ts";
import "./fine-tune/fork.ts";
import "./fine-tune/step.ts";
import "./fine-tune/event.ts";
import "./fine-tune/checkpoint.ts";
import "./fine-tune/materialise-checkpoint.ts";
import "./sweep/sweep.ts";
import "./sweep/create-sweep.ts";
import "./completion/completion.ts";
import "./completion/create-completion.ts";
import "./completion/pieces.ts";
import "./completion/classify.ts";
import "./model/alias.ts";
import "./evaluation/model-evaluation.ts";
import "./evaluation/create-evaluation.ts";
import "./project/project.ts";
import "./project/api-key.ts";
import "./project/audit.ts";
import "./project/erase.ts";
import "./project/share.ts";
import "./project/usage.ts";
import "./project/disk-use.ts";
import "./expiry.ts";
import "./project/rates.ts";
import "./webhook/webhook.ts";
import "./webhook/change-webhooks.ts";
import "./find.ts";
import "./worker.ts";
import "./service.ts";
import { builder } from "./builder.ts";
import { withTypedIds } from "./typed-ids.ts";

export const schema = withTypedIds(builder.toSchema({ sortSchema: true }));

/** The text of schema/api.graphql. */
export function printedSchema(): string {
  return `${printSchema(lexicographicSortSchema(schema))}\n`;
}
