/** Requests to the server that served the page. Failures are ApiErrors with the server's stable codes. */
import type { Operation } from "./operation.ts";

export interface Issue {
  readonly line?: number | null;
  readonly field?: string | null;
  readonly message: string;
}

export class ApiError extends Error {
  readonly code: string;
  readonly issues: readonly Issue[];

  constructor(code: string, message: string, issues: readonly Issue[] = []) {
    super(message);
    this.name = "ApiError";
    this.code = code;
    this.issues = issues;
  }
}

/** Code of a request that reached no server: worth another try, unlike every other. */
export const unreachable = "UNREACHABLE";

const tokenKey = "steplog-token";
export const readToken = () => localStorage.getItem(tokenKey) ?? "";
export const writeToken = (token: string) => localStorage.setItem(tokenKey, token);

export function authorization(): Record<string, string> {
  const token = readToken();
  return token === "" ? {} : { Authorization: `Bearer ${token}` };
}

export async function request<Result, Variables>(
  { text, name }: Operation<Result, Variables>,
  variables: Variables,
): Promise<Result> {
  const body = JSON.stringify({ query: text, operationName: name, variables });
  const headers = { "content-type": "application/json", accept: "application/json" };
  const answer = await call("/graphql", { method: "POST", body, headers });
  return (answer as { data: Result }).data;
}

export interface StoredDataset {
  readonly id: string;
  readonly name: string;
  readonly rows: number;
}

/** Text and files alike go up as a stream, so that neither has the size limit of a mutation. */
export async function storeDataset(name: string, rows: Blob, preset: string): Promise<StoredDataset> {
  const headers = { "content-type": "application/octet-stream" };
  const query = new URLSearchParams({ name, ...(preset !== "" && { preset }) });
  return (await call(`/datasets?${query.toString()}`, { method: "POST", body: rows, headers })) as StoredDataset;
}

async function call(
  path: string,
  init: Omit<RequestInit, "headers"> & { headers: Record<string, string> },
): Promise<unknown> {
  const response = await reach(path, { ...init, headers: { ...init.headers, ...authorization() } });
  const answer: unknown = await response.json().catch(() => null);
  const error = errorIn(answer);
  if (error !== null) throw error;
  if (answer === null || !response.ok) throw new ApiError(unreachable, `The server answered ${response.status}.`);
  return answer;
}

async function reach(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, init);
  } catch (error) {
    throw new ApiError(unreachable, `The server does not answer (${String(error)}).`);
  }
}

function errorIn(answer: unknown): ApiError | null {
  const errors = typeof answer === "object" && answer !== null && "errors" in answer ? answer.errors : null;
  return Array.isArray(errors) ? asApiError(errors) : null;
}

interface WireError {
  readonly message?: string;
  readonly extensions?: { readonly code?: string; readonly issues?: readonly Issue[] };
}

/** The first of GraphQL's errors; the server gives one for each thing that failed. */
export function asApiError(errors: readonly unknown[]): ApiError {
  const { message, extensions } = (errors[0] ?? {}) as WireError;
  return new ApiError(
    extensions?.code ?? "INTERNAL",
    message ?? "The server gave no reason.",
    extensions?.issues ?? [],
  );
}

/** Saves a file of the server. A link cannot carry the token, so with one the page fetches the bytes itself. */
export async function download(url: string, name: string): Promise<void> {
  const response = await reach(url, { headers: authorization() });
  if (!response.ok)
    throw errorIn(await response.json().catch(() => null)) ?? new ApiError("INTERNAL", response.statusText);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
