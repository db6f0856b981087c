/** What the audit log records, in the words of the other pages. */
import type { AuditObjectType } from "../../../../schema/audit.ts";
import { formatBytes, formatInteger, formatTime } from "../../format.ts";

const typeWords: Readonly<Record<AuditObjectType, string>> = {
  Alias: "alias",
  ApiKey: "key",
  AuditEntry: "audit log",
  BaseModel: "base model",
  Checkpoint: "checkpoint",
  Completion: "answers",
  Dataset: "dataset",
  File: "file",
  FineTune: "run",
  ModelEvaluation: "evaluation",
  Project: "project",
  Sweep: "sweep",
  Webhook: "webhook",
};

/** A type that a newer gateway has stays as it is. */
export const typeInWords = (type: string): string => (isKnown(type) ? typeWords[type] : type);

const isKnown = (type: string): type is AuditObjectType => type in typeWords;

interface Detail {
  readonly name: string;
  readonly value: string | null;
}

const nameWords: Readonly<Record<string, string>> = {
  bytes: "stored bytes",
  concurrentRuns: "runs at once",
  expiresAt: "ends",
  stepsAMonth: "steps a month",
};

/** "runs at once: 4" */
export function detailInWords({ name, value }: Detail): string {
  const words = nameWords[name] ?? name.replace(/(?<=[a-z])[A-Z]/gu, (letter) => ` ${letter.toLowerCase()}`);
  return `${words}: ${valueInWords(name, value)}`;
}

function valueInWords(name: string, value: string | null): string {
  if (value === null) return name === "expiresAt" ? "never" : "none";
  if (/^\d+$/u.test(value)) return name === "bytes" ? formatBytes(Number(value)) : formatInteger(Number(value));
  if (/^\d{4}-\d\d-\d\dT/u.test(value)) return formatTime(value);
  return value.replaceAll(/,(?=\S)/gu, ", ");
}
