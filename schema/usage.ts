/** What a project uses and may use, in the words that both sides share. */

/**
 * What is counted by day. `STEPS`, `STEP_SECONDS` and `TOKENS_TRAINED` are of steps as they are stored; a step's tokens are
 * those of its rows, once, however many passes it takes. `EVALUATION_SECONDS` are of evaluations of models, for as long as a
 * worker had them, however they ended, and of those within runs; `REBUILD_SECONDS` of weights and exports, likewise;
 * `COMPLETION_SECONDS` of answers, which share the time of a worker that gives several at once. `TOKENS_GENERATED` are of
 * answers as they are stored, however they end, and of those that evaluations generated; `BYTES` are of files as they were
 * stored: datasets, weights and exports. What a worker had that died within it is not known, and does not count.
 */
export const usageKinds = [
  "STEPS",
  "STEP_SECONDS",
  "EVALUATION_SECONDS",
  "COMPLETION_SECONDS",
  "REBUILD_SECONDS",
  "TOKENS_TRAINED",
  "TOKENS_GENERATED",
  "BYTES",
] as const;
export type UsageKind = (typeof usageKinds)[number];

/** The time of workers. */
export const secondsKinds = usageKinds.filter((kind) => kind.endsWith("_SECONDS"));

/** One day of a project, in UTC. */
export interface UsageDay extends Readonly<Record<UsageKind, number>> {
  /** 2026-01-31. */
  readonly day: string;
}

/** Days that one query returns at most. */
export const mostUsageDays = 400;

/**
 * Limits of a project. `concurrentRuns`: that workers train at once; others wait. What is
 * beyond another limit is refused. `bytes`: of its stored datasets, weights and exports, those included that workers are to store. `requestsWaiting`: requests to models that wait
 * for a worker or are being answered. `stepsAMonth`: of runs, those still to come included. `tokensAMonth`: trained and generated.
 * `workerSecondsAMonth`: of steps, evaluations, answers and rebuilds. Months are those of UTC.
 */
export const quotaNames = [
  "bytes",
  "concurrentRuns",
  "requestsWaiting",
  "stepsAMonth",
  "tokensAMonth",
  "workerSecondsAMonth",
] as const;
export type QuotaName = (typeof quotaNames)[number];

/** What is left out has no limit. */
export type Quotas = Readonly<Partial<Record<QuotaName, number>>>;

/** A quota, and how much of it is used. */
export interface QuotaUse {
  readonly name: QuotaName;
  readonly limit: number;
  readonly used: number;
  /** When it counts from 0 again; null for what frees up otherwise. */
  readonly resetsAt: Date | null;
}
