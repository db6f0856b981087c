/**
 * The trace of a job: a span from its claim to its end, which goes on with the trace of whoever asked for the job, and in it
 * what took the time, one part after the other. A part is told when it is over. However long a job lasts, there are at most
 * `mostParts` spans of it: what comes after them is one.
 */
import type { EngineMessage } from "../engine/thread/messages.ts";
import type { Attributes, Span, Tracing } from "../schema/tracing.ts";
import type { ClaimedJob } from "../store/store.ts";

export const mostParts = 100;

export class JobTrace {
  readonly #tracing: Tracing;
  readonly #span: Span;
  #parts = 0;
  /** When the last part ended. */
  #mark = Date.now();
  /** Steps since then, and when the last of them came. */
  #steps = 0;
  #steppedAt = 0;
  /** What has no span of its own: since when, and how much. */
  #rest: { readonly from: number; parts: number; steps: number } | null = null;

  constructor(tracing: Tracing, { kind, id, subject, attempts, traceparent, createdAt, token }: ClaimedJob) {
    this.#tracing = tracing;
    const attributes = {
      "steplog.job.kind": kind,
      "steplog.job.id": id,
      "steplog.job.subject": subject,
      "steplog.job.attempt": attempts,
    };
    this.#span = tracing.start(`job ${kind}`, {
      kind: "CONSUMER",
      attributes,
      parent: traceparent,
      startedAt: this.#mark,
    });
    // Each claim raises the token. The time before a later one was not all spent in the queue.
    if (token === 1) this.#add("queue", {}, Math.min(createdAt.getTime(), this.#mark), this.#mark);
  }

  /** What the time since the last part was for. */
  past(name: string, attributes: Attributes = {}): void {
    this.#endSteps();
    this.#add(name, attributes, this.#mark, Date.now());
  }

  /** What the engine says of a job. */
  heard(message: EngineMessage): void {
    switch (message.type) {
      case "began":
        this.#loaded(message.replaySeconds);
        break;
      case "step":
        this.#steps += 1;
        this.#steppedAt = Date.now();
        break;
      case "evaluation":
        this.past("evaluation", { "steplog.evaluation.kind": message.kind, "steplog.rows": message.rows });
        break;
      case "checkpoint":
        this.past("checkpoint", { "steplog.step": message.step });
        break;
      case "materialised":
      case "measured":
      case "evaluated":
        this.past(message.type);
        break;
      case "failed":
        this.#endSteps();
        break;
      case "memory":
      case "generated":
      case "note":
      case "diverged":
      case "kept":
      case "stopped":
      case "done":
        break;
    }
  }

  /** @param code of what it ended with, if it failed */
  end(code?: string): void {
    this.#endSteps();
    if (this.#rest !== null) {
      const { from, parts, steps } = this.#rest;
      this.#write("more", { "steplog.parts": parts, "steplog.steps": steps }, from, this.#mark);
    }
    const now = Date.now();
    this.#write("finish", {}, this.#mark, now);
    if (code !== undefined) this.#span.failed(code);
    this.#span.end(now);
  }

  /** The engine replays after it has loaded. */
  #loaded(replaySeconds: number): void {
    const now = Date.now();
    const loaded = Math.max(this.#mark, now - replaySeconds * 1_000);
    this.#add("load", {}, this.#mark, loaded);
    if (replaySeconds > 0) this.#add("replay", {}, loaded, now);
  }

  #endSteps(): void {
    const steps = this.#steps;
    this.#steps = 0;
    if (steps > 0) this.#add("steps", { "steplog.steps": steps }, this.#mark, this.#steppedAt);
  }

  #add(name: string, attributes: Attributes, from: number, to: number): void {
    this.#mark = to;
    if (this.#parts < mostParts) {
      this.#parts += 1;
      this.#write(name, attributes, from, to);
    } else {
      this.#rest ??= { from, parts: 0, steps: 0 };
      this.#rest.parts += 1;
      this.#rest.steps += Number(attributes["steplog.steps"] ?? 0);
    }
  }

  #write(name: string, attributes: Attributes, startedAt: number, endedAt: number): void {
    this.#tracing.start(name, { attributes, parent: this.#span, startedAt }).end(endedAt);
  }
}
