/** The audit log in the words that both sides share: who did what to which object. It never holds rows, prompts, answers or secrets. */

/** What is written down, and the type of the object that it was done to. */
export const auditActions = {
  "key.created": "ApiKey",
  "key.rates_changed": "ApiKey",
  "key.renamed": "ApiKey",
  "key.rotated": "ApiKey",
  "key.revoked": "ApiKey",
  "key.deleted": "ApiKey",
  "project.created": "Project",
  "project.renamed": "Project",
  "project.quotas_changed": "Project",
  "project.rates_changed": "Project",
  "project.keep_changed": "Project",
  "project.exported": "Project",
  "project.erasure_begun": "Project",
  "project.erased": "Project",
  "dataset.shared": "Dataset",
  "dataset.unshared": "Dataset",
  "dataset.deleted": "Dataset",
  "checkpoint.shared": "Checkpoint",
  "checkpoint.unshared": "Checkpoint",
  "checkpoint.deleted": "Checkpoint",
  "checkpoint.weights_deleted": "Checkpoint",
  "fine_tune.expiry_set": "FineTune",
  "checkpoint.expiry_set": "Checkpoint",
  "dataset.expiry_set": "Dataset",
  "evaluation.expiry_set": "ModelEvaluation",
  "fine_tune.deleted": "FineTune",
  "sweep.deleted": "Sweep",
  "evaluation.deleted": "ModelEvaluation",
  "alias.removed": "Alias",
  "webhook.created": "Webhook",
  "webhook.updated": "Webhook",
  "webhook.disabled": "Webhook",
  "webhook.secret_rotated": "Webhook",
  "webhook.deleted": "Webhook",
  "model.deleted": "BaseModel",
  "completion.deleted": "Completion",
  "completions.expired": "Completion",
  "file.swept": "File",
  "audit.expired": "AuditEntry",
} as const;

export type AuditAction = keyof typeof auditActions;
export type AuditObjectType = (typeof auditActions)[AuditAction];

/** Objects without an id of the API: an alias has its name, a file its hash. */
export const plainObjects: readonly AuditObjectType[] = ["Alias", "File", "AuditEntry"];

/**
 * KEY: an API key. OPERATOR: the token of the environment, or anybody while there are no keys. COMMAND: a command line with
 * access to the database. SERVICE: the service itself, which deletes what is past its time.
 */
export const actorKinds = ["KEY", "OPERATOR", "COMMAND", "SERVICE"] as const;
export type ActorKind = (typeof actorKinds)[number];

/** Words for what was done: a number, a name, a list of fields. */
export type AuditDetails = Readonly<Record<string, string | number | boolean | null>>;
