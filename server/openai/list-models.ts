/** GET /v1/models: the names that requests may give. */
import type { ServerResponse } from "node:http";
import { limits } from "../../schema/limits.ts";
import type { ListedModel, ModelKey, ProjectStore } from "../../store/store.ts";
import { sendJson } from "../http/json.ts";
import { answeringByName, checkpointName } from "../targets.ts";
import { Refusal } from "./errors.ts";
import { modelAnswer, modelsAnswer } from "./models.ts";

/** @throws invalid_value, NOT_FOUND for an unknown model to go on after */
export async function sendModels(store: ProjectStore, query: URLSearchParams, response: ServerResponse): Promise<void> {
  const limit = limitOf(query.get("limit"));
  const after = query.get("after");
  const key = after === null ? undefined : await keyOf(store, after);
  const found = await store.models.list({ after: key, limit: limit + 1 });
  const models = found.slice(0, limit).map((model) => ({ name: nameOf(model), at: model.at }));
  sendJson(response, 200, modelsAnswer(models, found.length > limit));
}

function limitOf(text: string | null): number {
  if (text === null) return limits.listedModels;
  const limit = /^\d{1,9}$/u.test(text) ? Number(text) : 0;
  // A page has no more than that, and says so by has_more: releases before gave up to ten times as many.
  if (limit >= 1 && limit <= 10 * limits.listedModels) return Math.min(limit, limits.listedModels);
  const message = `limit must be a whole number from 1 to ${limits.listedModels}.`;
  throw new Refusal("invalid_value", [{ field: "limit", message }]);
}

async function keyOf(store: ProjectStore, name: string): Promise<ModelKey> {
  const { checkpoint, model, alias } = await answeringByName(store, name, "after");
  if (alias !== null || !checkpoint) return { name: alias ?? model.name };
  return { checkpointId: checkpoint.id };
}

function nameOf(model: ListedModel): string {
  return "name" in model ? model.name : checkpointName(model.checkpointId);
}

/** @throws NOT_FOUND */
export async function sendModel(store: ProjectStore, name: string, response: ServerResponse): Promise<void> {
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
