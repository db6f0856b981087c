/** GET /v1/models: the names that requests may give. */
import type { ServerResponse } from "node:http";
import type { Store } from "../../store/store.ts";
import { sendJson } from "../http/json.ts";
import { answeringByName } from "../targets.ts";
import { modelAnswer, modelsAnswer } from "./models.ts";
import { listedModels } from "../listed-models.ts";

export async function sendModels(store: Store, response: ServerResponse): Promise<void> {
  sendJson(response, 200, modelsAnswer(await listedModels(store)));
}

/** @throws NOT_FOUND */
export async function sendModel(store: Store, name: string, response: ServerResponse): Promise<void> {
  const { model, checkpoint } = await answeringByName(store, decodePart(name), "model");
  sendJson(response, 200, modelAnswer({ name: decodePart(name), at: (checkpoint ?? model).createdAt }));
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
