/**
 * GET and DELETE /v1/chat/completions/ID: chat completions that were asked for with `store`. Whatever else has an id, one that is
 * still being written among them, is not there.
 */
import type { ServerResponse } from "node:http";
import type { GenerateTask } from "../../schema/completion.ts";
import type { Completion } from "../../schema/serving-tables.ts";
import type { ProjectStore } from "../../store/store.ts";
import { sendJson } from "../http/json.ts";
import { answeringOf, checkpointName } from "../targets.ts";
import type { AnswerHead } from "./answer.ts";
import { chatAnswer } from "./chat-answer.ts";
import { chatPrefix } from "./chat.ts";
import { Refusal } from "./errors.ts";
import { fingerprintOf, usageOf } from "./write.ts";

/** The answer as it was first sent. @throws not_found */
export async function sendStored(store: ProjectStore, id: string, response: ServerResponse): Promise<void> {
  const { row, task } = await stored(store, id);
  const pieces = (await store.completions.choices(row)).map(({ index, ...choice }) => ({
    ...choice,
    choice: index,
    firstToken: 0,
  }));
  const head = await headOfStored(store, row);
  sendJson(response, 200, chatAnswer(head, pieces, usageOf([row]), { tools: task.tools ?? null }));
}

/** With its messages, at once. @throws not_found; FORBIDDEN for a key that may not ask */
export async function deleteStored(store: ProjectStore, id: string, response: ServerResponse): Promise<void> {
  const { row } = await stored(store, id);
  if (!(await store.completions.delete(row.id))) throw notFound(id);
  sendJson(response, 200, { id: `${chatPrefix}${row.id}`, object: "chat.completion.deleted", deleted: true });
}

async function stored(store: ProjectStore, id: string): Promise<{ row: Completion; task: GenerateTask }> {
  const row = id.startsWith(chatPrefix) ? await store.completions.get(id.slice(chatPrefix.length)) : null;
  if (row?.protocol !== "OPENAI" || row.status !== "SUCCEEDED" || row.task.kind !== "GENERATE") throw notFound(id);
  return { row, task: row.task };
}

/** The model has the name that means the same one still: an alias by which it was asked, else the model's own. */
async function headOfStored(store: ProjectStore, row: Completion): Promise<AnswerHead> {
  const { alias, checkpointId, createdAt, device } = row;
  const answering = await answeringOf(store, row);
  const model = alias ?? (checkpointId === null ? answering.model.name : checkpointName(checkpointId));
  // A checkpoint of another project may not be shared any more.
  const isSeen = (answering.checkpoint?.id ?? null) === checkpointId;
  const fingerprint = device !== null && isSeen ? fingerprintOf(device, answering) : null;
  return { id: `${chatPrefix}${row.id}`, created: Math.floor(createdAt.getTime() / 1000), model, fingerprint };
}

function notFound(id: string): Refusal {
  const seen = id.length > 100 ? `${id.slice(0, 100).toWellFormed()}…` : id;
  const message = `There is no stored chat completion ${JSON.stringify(seen)}. It may have expired.`;
  return new Refusal("not_found", [{ field: "completion_id", message }], "NOT_FOUND");
}
