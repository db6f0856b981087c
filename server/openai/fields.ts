/**
 * Reads the body of a request: every field is used, ignored or refused by name (schema/openai.ts), and one that the table
 * lacks is unknown. Fields that are null are as if left out, which is how clients write "not set".
 */
import type { z } from "zod";
import { openaiFields, type OpenAIRequest } from "../../schema/openai.ts";
import type { InputIssue } from "../../schema/errors.ts";
import { limits } from "../../schema/limits.ts";
import { paramOf, Refusal } from "./errors.ts";

/** @throws Refusal for JSON that is no object, and for fields that are unknown or refused */
export function readFields(body: Uint8Array, request: OpenAIRequest): Readonly<Record<string, unknown>> {
  const given = Object.entries(objectOf(body)).filter(([, value]) => value !== null);
  for (const [name, value] of given) refuseField(name, value, request);
  return Object.fromEntries(given);
}

/** The fields as `schema` has them. @throws Refusal naming each wrong field, the first as its param */
export function checkFields<T>(fields: Readonly<Record<string, unknown>>, schema: z.ZodType<T>): T {
  const { data, error } = schema.safeParse(fields);
  if (!error) return data;
  const issues = error.issues.slice(0, limits.issuesReported).flatMap(issuesOf);
  throw new Refusal("invalid_value", issues);
}

function objectOf(body: Uint8Array): object {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    throw new Refusal("invalid_json", [{ message: "The body is not valid JSON in UTF-8." }]);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new Refusal("invalid_json", [{ message: 'The body must be a JSON object such as {"model": "..."}.' }]);
}

/** Names are quoted up to this length. */
const longestName = 100;

function refuseField(name: string, value: unknown, request: OpenAIRequest): void {
  const field = Object.hasOwn(openaiFields, name) ? openaiFields[name] : undefined;
  if (!field?.in.includes(request)) {
    const seen = name.length > longestName ? `${name.slice(0, longestName).toWellFormed()}…` : name;
    const elsewhere = field ? ` It is a field of ${request === "chat" ? "completions" : "chat completions"}.` : "";
    throw new Refusal("unknown_parameter", [{ field: seen, message: `Unknown parameter: '${seen}'.${elsewhere}` }]);
  }
  if (field.use !== "refused" || value === "") return;
  throw new Refusal("unsupported_parameter", [
    { field: name, message: `Unsupported parameter: '${name}'. ${field.says}` },
  ]);
}

function issuesOf(issue: z.core.$ZodIssue): InputIssue[] {
  const path = issue.path.map(String);
  if (issue.code !== "unrecognized_keys") {
    const field = path.join(".");
    return [{ field, message: `Invalid value for '${paramOf(field)}': ${sentence(issue.message)}` }];
  }
  return issue.keys.map((key) => {
    const field = [...path, key.slice(0, longestName)].join(".");
    return { field, message: `Unknown parameter: '${paramOf(field)}'.` };
  });
}

function sentence(text: string): string {
  return /[.!?]$/u.test(text) ? text : `${text}.`;
}
