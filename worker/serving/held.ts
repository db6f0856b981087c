/** A request that this worker answers. */
import type { FinishReason } from "../../schema/completion.ts";
import type { ServingRequest } from "../../engine/thread/serving-messages.ts";
import type { ClaimedJob } from "../../store/store.ts";
import type { RequestTrace } from "./request-trace.ts";
import type { ReadRequest } from "./requests.ts";

export interface Held {
  readonly job: ClaimedJob;
  /** Null where nobody wants traces. */
  readonly trace: RequestTrace | null;
  /** What the thread is asked, without the folder of its weights. */
  request: ServingRequest;
  /** Ends its share of the worker's time, and tells it: once it has ended, it stays the same. */
  readonly seconds: () => number;
  /** Releases the base, if it was copied. */
  releaseBase: () => void;
  readonly checkpointId: string | null;
  /** By which the thread knows it: another one when it is claimed again, so that late messages are told apart. */
  readonly key: string;
  /** Name of the base model. */
  readonly base: string;
  /** How many sequences it takes. */
  readonly sequences: number;
  /** Pieces that are stored. */
  pieces: number;
  /** Whether it waits for its base to be copied or its weights to be rebuilt; the thread knows nothing of it. */
  isRebuilding: boolean;
  /** Choices that have not ended, by number. */
  readonly open: Set<number>;
  /** Whether it scores, instead of writing choices. */
  readonly isScore: boolean;
  /** CANCEL once the thread was asked to end it. */
  wanted: "RUN" | "CANCEL";
}

export function heldOf(
  job: ClaimedJob,
  { trace, seconds }: Pick<Held, "trace" | "seconds">,
  { completion, baseModel, choices, request }: ReadRequest,
): Held {
  const { id, task, pieces } = completion;
  const key = `${id}/${job.token}`;
  const open = choices.filter(({ finish }) => finish === null).map(({ index }) => index);
  const isScore = task.kind === "SCORE";
  return {
    job,
    trace,
    seconds,
    request: { ...request, id: key },
    checkpointId: completion.checkpointId,
    key,
    base: baseModel.name,
    sequences: isScore ? 1 : task.n,
    pieces,
    releaseBase() {},
    isRebuilding: false,
    open: new Set(open),
    isScore,
    wanted: "RUN",
  };
}

/** A choice of a cancelled request ends as CANCELLED, which is no end of its own. */
export function endsChoice(finish: FinishReason | null): boolean {
  return finish !== null && finish !== "CANCELLED";
}
