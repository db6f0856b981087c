/**
 * What the rooms ask of traces. Whoever wants none has null in its place, and then nothing of them is called or loaded;
 * cli/open-telemetry.ts makes them. Names and attributes are words and numbers that we choose: kinds, states, codes, ids of
 * rows, counts. Never a prompt, a row, a key, a value of SQL, or the message of an error.
 */
export type Attributes = Readonly<Record<string, string | number | boolean>>;

export interface Span {
  /** By which another process goes on with its trace, as the W3C's header has it. */
  readonly traceparent: string;
  set(attributes: Attributes): void;
  /** @param code of schema/errors.ts, or the status of HTTP */
  failed(code: string): void;
  /** @param at Date.now() when it ended; now when left out */
  end(at?: number): void;
}

export interface SpanOptions {
  /** SERVER answers somebody, CONSUMER goes on with what another process left. */
  readonly kind?: "SERVER" | "CONSUMER";
  readonly attributes?: Attributes;
  /** The current one when left out. Another process' traceparent is linked as well. */
  readonly parent?: Span | string | null;
  /** Date.now() when it began; now when left out. */
  readonly startedAt?: number;
}

export interface Tracing {
  start(name: string, options?: SpanOptions): Span;
  /** The span is the current one of `work`, and of what it awaits. */
  within<Result>(span: Span, work: () => Result): Result;
  /** Whether anything is traced here. */
  current(): Span | null;
}

/** A span around `work`. What it throws ends the span as failed, by its code. */
export async function inSpan<Result>(
  tracing: Tracing,
  name: string,
  options: SpanOptions,
  work: (span: Span) => Promise<Result>,
): Promise<Result> {
  const span = tracing.start(name, options);
  try {
    return await tracing.within(span, () => work(span));
  } catch (error) {
    span.failed(codeOf(error));
    throw error;
  } finally {
    span.end();
  }
}

/** A code that we, Node or Postgres gave the error; never its message. */
export function codeOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : null;
  return typeof code === "string" && /^\w{1,40}$/u.test(code) ? code : "INTERNAL";
}
