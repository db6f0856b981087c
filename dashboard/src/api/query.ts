/**
 * Queries and mutations, by urql: answers are shared between the parts of a page and kept while it is open, and a mutation
 * has those read again in which its types occur. What streams is read with the client instead.
 */
import { cacheExchange, Client, fetchExchange, type AnyVariables, type CombinedError } from "@urql/core";
import { useQuery } from "@urql/preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { errorFrom, errorIn, failureOf } from "../../../client/errors.ts";
import { fetchWithToken } from "../../../client/fetch-with-token.ts";
import { passing, type ErrorCode } from "../../../schema/errors.ts";
import type { Operation } from "../../../client/operation.ts";
import { baseUrl } from "../base.ts";
import { heard, heardWithin, reasons, tellTabs } from "./connection.ts";
import { asFailure, type Failure, KeyRefused } from "./failure.ts";
import { pulse } from "./operations.ts";
import { isReplaced, readKey } from "./session.ts";

/** A service that has not answered a question by then is not connected, though nothing was closed: it hangs. */
const answerMs = 30_000;
/** The pulse is the smallest query there is, so it is given less time. */
const pulseAnswerMs = 8_000;

type Fetch = (url: Parameters<typeof fetchWithToken>[0], init?: RequestInit) => Promise<Response>;

/**
 * What changes something may take its time: whether it was done could not be told of one that is given up.
 * @throws KeyRefused; UNAVAILABLE if the 401 is somebody else's, such as a proxy's; what fetch throws
 */
const patient: Fetch = async (url, init) => {
  let key = "";
  const response = await fetchWithToken(url, init, () => (key = readKey()) || undefined);
  if (response.status !== 401) return response;
  const error = errorIn(jsonIn(await response.text()));
  throw error ? new KeyRefused(key, error) : failureOf(baseUrl, null);
};

/** Null for what is no JSON. */
function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

const within =
  (ms: number): Fetch =>
  (url, init) => {
    const late = AbortSignal.timeout(ms);
    return patient(url, { ...init, signal: init?.signal ? AbortSignal.any([init.signal, late]) : late });
  };

export const urql = new Client({
  url: `${baseUrl}/graphql`,
  exchanges: [cacheExchange, fetchExchange],
  preferGetMethod: false,
  requestPolicy: "cache-and-network",
  fetch: within(answerMs),
});

export interface Answer<Result> {
  /** The last answer, also while a newer one is on its way or failed; null before the first. */
  readonly data: Result | null;
  readonly failure: Failure | null;
  readonly loading: boolean;
  readonly reload: () => void;
}

interface AnswerOptions {
  /** Asks again this often while the page is visible. */
  readonly everyMs?: number;
  /** Asks nothing yet. */
  readonly skip?: boolean;
}

export function useAnswer<Result, Variables extends AnyVariables>(
  operation: Operation<Result, Variables>,
  variables: Variables,
  { everyMs, skip = false }: AnswerOptions = {},
): Answer<Result> {
  const [{ data, error, fetching }, ask] = useQuery<Result>({
    query: operation.text,
    variables: variables ?? {},
    pause: skip,
  });
  const reload = () => ask({ requestPolicy: "network-only" });
  useEffect(() => {
    if (everyMs === undefined || skip) return undefined;
    const timer = setInterval(() => !document.hidden && reload(), everyMs);
    return () => clearInterval(timer);
  }, [everyMs, skip, JSON.stringify(variables)]);
  const failure = useMemo(() => (error ? errorOf(error) : null), [error]);
  useEffect(() => {
    if (failure !== null || data !== undefined) heard(failure?.code !== "UNAVAILABLE");
    if (failure !== null) asFailure(failure);
  }, [failure, data]);
  useAgain(failure, () => !skip && reload());
  return { data: useLast(JSON.stringify([operation.text, variables]), data), failure, loading: fetching, reload };
}

/** Reads again when there is a reason to, and after a failure that passes with time. */
export function useAgain(failure: Failure | null, read: () => unknown): void {
  const known = useRef(reasons.value);
  const newest = reasons.value;
  useEffect(() => {
    if (newest !== known.current) read();
    known.current = newest;
  }, [newest]);
  useEffect(() => {
    if (failure instanceof KeyRefused && isReplaced(failure.key)) read();
  }, [failure]);
  useEffect(() => {
    const seconds = failure && (failure.retryAfterS ?? passing[failure.code as ErrorCode]);
    if (!seconds) return undefined;
    const timer = setTimeout(read, seconds * 1_000);
    return () => clearTimeout(timer);
  }, [failure]);
}

/** Grows when what has failed is to be asked for again: for a question that is asked with `ask`. */
export function useAttempts(failure: Failure | null): number {
  const [attempts, setAttempts] = useState(0);
  useAgain(failure, () => failure !== null && setAttempts((before) => before + 1));
  return attempts;
}

/** A failure has no data of its own: what was there stays on the page, with all that is typed in it. */
function useLast<Result>(question: string, data: Result | undefined): Result | null {
  const last = useRef<{ readonly question: string; readonly data: Result } | null>(null);
  if (data !== undefined) last.current = { question, data };
  return last.current?.question === question ? last.current.data : null;
}

/** @throws SteplogError as the service answered it, or UNAVAILABLE */
export async function change<Result, Variables extends AnyVariables>(
  operation: Operation<Result, Variables>,
  variables: Variables,
): Promise<Result> {
  const { data, error } = await urql.mutation<Result>(operation.text, variables ?? {}, { fetch: patient }).toPromise();
  if (error) throw errorOf(error);
  if (data === undefined) throw failureOf(baseUrl, null);
  tellTabs();
  return data;
}

/** An answer that is not kept, such as a preview of what somebody is typing. @throws SteplogError */
export async function ask<Result, Variables extends AnyVariables>(
  operation: Operation<Result, Variables>,
  variables: Variables,
  withinMs = answerMs,
): Promise<Result> {
  const context = { requestPolicy: "network-only", fetch: within(withinMs) } as const;
  const { data, error } = await urql.query<Result>(operation.text, variables ?? {}, context).toPromise();
  if (error) throw errorOf(error);
  if (data === undefined) throw failureOf(baseUrl, null);
  return data;
}

/** How often a page that is quiet asks whether the service still answers, and takes its key. */
const pulseMs = 5_000;

/** @returns what ends it */
export function keepListening(): () => void {
  const timer = setInterval(() => {
    if (document.hidden || heardWithin(pulseMs)) return;
    ask(pulse, {}, pulseAnswerMs).then(
      () => heard(true),
      (error: unknown) => heard(asFailure(error).code !== "UNAVAILABLE"),
    );
  }, pulseMs);
  return () => clearInterval(timer);
}

function errorOf({ graphQLErrors, networkError }: CombinedError) {
  return graphQLErrors.length > 0 ? errorFrom(graphQLErrors) : failureOf(baseUrl, networkError);
}
