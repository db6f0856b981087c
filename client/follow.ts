/** One run from a cursor to its end, as one iteration over its steps, its events and its status. */
import { isFinal } from "../schema/states.ts";
import * as operations from "./operations.ts";
import type { EventsSubscription, FineTuneStatusFragment, StepsSubscription } from "./operations.ts";
import { pause } from "./pause.ts";
import { Queue } from "./queue.ts";
import type { Streams } from "./streams.ts";

/** How far a consumer has read: the numbers of its last step and its last event, 0 for none. */
export interface FollowCursor {
  readonly step: number;
  readonly event: number;
}

/** `cursor` is what to pass as `after` to resume after this update. */
export type FineTuneUpdate = { readonly cursor: FollowCursor } & (
  | { readonly type: "step"; readonly step: StepsSubscription["steps"]["step"] }
  | { readonly type: "event"; readonly event: EventsSubscription["events"]["event"] }
  | { readonly type: "status"; readonly fineTune: FineTuneStatusFragment }
);

export interface FollowOptions {
  /** Resume after this cursor; from the first step and event when left out. */
  readonly after?: Partial<FollowCursor>;
  /** How long an outage may last before the iteration fails, milliseconds; 60000 when left out. */
  readonly patienceMs?: number;
  /** Ends the iteration with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Called with false when the connection is lost, and with true when it is there again. */
  readonly onLive?: (live: boolean) => void;
}

export async function* followRun(
  streams: Streams,
  id: string,
  { after, patienceMs, signal: outer, onLive }: FollowOptions & { readonly patienceMs: number },
): AsyncGenerator<FineTuneUpdate, void, undefined> {
  const ended = new AbortController();
  const signal = outer ? AbortSignal.any([outer, ended.signal]) : ended.signal;
  const queue = new Queue<FineTuneUpdate>();
  const seen = { step: after?.step ?? 0, event: after?.event ?? 0 };
  const ending: { status: FineTuneStatusFragment | null } = { status: null };

  const shared = { patienceMs, signal };
  const follow = () =>
    Promise.all([
      streams.run({
        ...shared,
        operation: operations.steps,
        variables: () => ({ id, after: seen.step }),
        onItem: ({ steps: { cursor, step } }) => {
          seen.step = cursor;
          queue.push({ type: "step", step, cursor: { ...seen } });
        },
      }),
      streams.run({
        ...shared,
        operation: operations.events,
        variables: () => ({ id, after: seen.event }),
        onItem: ({ events: { cursor, event } }) => {
          seen.event = cursor;
          queue.push({ type: "event", event, cursor: { ...seen } });
        },
      }),
      streams.run({
        ...shared,
        // All three share a connection, and this one hears of the run at once when it is there again.
        onLive: changesOf(onLive),
        operation: operations.status,
        variables: () => ({ id }),
        onItem: ({ fineTuneStatus: fineTune }) => {
          if (isFinal(fineTune.status)) ending.status = fineTune;
          else queue.push({ type: "status", fineTune, cursor: { ...seen } });
        },
      }),
    ]);
  const followToEnd = async () => {
    // A gateway that shuts down may complete streams whose run goes on.
    while (!signal.aborted && !ending.status) {
      await follow();
      if (!ending.status) await pause(1_000, signal);
    }
    // Held back until now, so that it is the last update.
    if (ending.status) queue.push({ type: "status", fineTune: ending.status, cursor: { ...seen } });
  };
  queue.closeAfter(followToEnd());
  try {
    yield* queue;
    outer?.throwIfAborted();
  } finally {
    ended.abort();
  }
}

/** Called only when the connection is lost or is there again. */
function changesOf(onLive: FollowOptions["onLive"]): (live: boolean) => void {
  let known = true;
  return (live) => {
    if (live !== known) onLive?.(live);
    known = live;
  };
}
