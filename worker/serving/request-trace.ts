/**
 * The trace of a request, part by part: `read` until the serving thread has it, `load` where its model was not warm, `rebuild`
 * where its weights were rebuilt first, until the `first token`, and the `rest`; scores come all at once.
 */
import type { FromServing, ServingRequest, WarmModel } from "../../engine/thread/serving-messages.ts";
import type { Tracing } from "../../schema/tracing.ts";
import type { ClaimedJob } from "../../store/store.ts";
import { JobTrace } from "../job-trace.ts";

/** What it needs to know of a request that this worker holds. */
interface Traced {
  readonly isScore: boolean;
  readonly request: ServingRequest;
}

type Part = "read" | "load" | "rebuild" | "first token" | "scores" | "rest";

export class RequestTrace {
  readonly #trace: JobTrace;
  #part: Part = "read";

  constructor(tracing: Tracing, job: ClaimedJob) {
    this.#trace = new JobTrace(tracing, job);
  }

  added({ isScore }: Pick<Traced, "isScore">): void {
    this.#move(isScore ? "scores" : "first token");
  }

  heard(message: FromServing): void {
    const { type } = message;
    // Until then it waited for the thread, which is told with the part that follows.
    if (type === "loading") this.#part = message.isReplay ? "rebuild" : "load";
    if (type === "rebuild") this.#part = "rebuild";
    if (type === "piece" && this.#part !== "rest") this.#move("rest");
    if (type === "ended") this.#trace.past(this.#part);
  }

  /** The thread holds these models now. */
  warm(models: readonly WarmModel[], held: Traced): void {
    const { base, checkpoint } = held.request.model;
    const chain = checkpoint?.chain ?? null;
    const isComing = this.#part === "load" || this.#part === "rebuild";
    if (isComing && models.some((model) => model.base === base && model.chain === chain)) this.added(held);
  }

  end(code?: string): void {
    this.#trace.end(code);
  }

  #move(next: Part): void {
    this.#trace.past(this.#part);
    this.#part = next;
  }
}
