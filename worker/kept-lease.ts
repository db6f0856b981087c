/**
 * The lease of a job while this worker has it: renewed every few seconds, whatever the engine does, until the worker ends the job or
 * gives it back. A renewal and such a call never overlap: a renewal that is answered after it would find the lease gone, and say
 * that it was lost where the job has ended well.
 */
import { SteplogError } from "../schema/errors.ts";
import { leaseMs, renewMs } from "../schema/limits.ts";
import type { ClaimedJob, Store } from "../store/store.ts";

export interface KeptLease {
  /** Rejects when the lease is lost; nothing is written any more then. */
  readonly lost: Promise<never>;
  /** The store, for all that is done with the job. */
  readonly store: Store;
  end(): void;
}

/** @param stop called when the job is no longer wanted to run */
export function keepLease(store: Store, job: ClaimedJob, stop: () => void): KeptLease {
  let reject: (reason: unknown) => void = () => {};
  const lost = new Promise<never>((_, rejectLost) => (reject = rejectLost));
  lost.catch(() => {});
  let lastRenewed = performance.now();
  let renewal: Promise<void> = Promise.resolve();
  let isEnding = false;
  const renew = async () => {
    try {
      const { wanted } = await store.renewLease(job, leaseMs);
      lastRenewed = performance.now();
      if (wanted !== "RUN") stop();
    } catch (error) {
      const isLost = error instanceof SteplogError && error.code === "LEASE_LOST";
      if (isLost || performance.now() - lastRenewed > leaseMs) reject(error);
    }
  };
  const timer = setInterval(() => {
    if (!isEnding) renewal = renew();
  }, renewMs);
  /** One that fails leaves the lease as it was. */
  const ending = async <Result>(call: () => Promise<Result>): Promise<Result> => {
    isEnding = true;
    await renewal;
    return call().catch((error: unknown) => {
      isEnding = false;
      throw error;
    });
  };
  return { lost, store: withEndings(store, ending), end: () => clearInterval(timer) };
}

type Ending = <Result>(call: () => Promise<Result>) => Promise<Result>;

/** Every call with which a job ends, or is given back, of whatever kind it is. */
function withEndings(store: Store, ending: Ending): Store {
  return {
    ...store,
    finishFineTune: (...end) => ending(() => store.finishFineTune(...end)),
    finishMaterialise: (...end) => ending(() => store.finishMaterialise(...end)),
    finishExport: (...end) => ending(() => store.finishExport(...end)),
    finishEvaluation: (...end) => ending(() => store.finishEvaluation(...end)),
    releaseJob: (...job) => ending(() => store.releaseJob(...job)),
    speeds: { ...store.speeds, finish: (...end) => ending(() => store.speeds.finish(...end)) },
  };
}
