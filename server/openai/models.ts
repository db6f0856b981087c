/** Answers of GET /v1/models. */

export interface NamedModel {
  readonly name: string;
  readonly at: Date;
}

export function modelAnswer({ name, at }: NamedModel) {
  return { id: name, object: "model", created: Math.floor(at.getTime() / 1000), owned_by: "steplog" };
}

/** @param more whether others follow: after the last of these */
export function modelsAnswer(models: readonly NamedModel[], more: boolean) {
  return { object: "list", data: models.map((model) => modelAnswer(model)), has_more: more };
}
