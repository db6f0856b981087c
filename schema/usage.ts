/** What a project uses and may use, in the words that both sides share. */

/**
 * What is counted by day. `STEPS`, `STEP_SECONDS` and `TOKENS_TRAINED` are of steps as they are stored; a step's tokens are
 * those of its rows, once, however many passes it takes. `TOKENS_GENERATED` are of answers that have ended; `BYTES` are of
 * datasets as they were created.
 */
export const usageKinds = ["STEPS", "STEP_SECONDS", "TOKENS_TRAINED", "TOKENS_GENERATED", "BYTES"] as const;
export type UsageKind = (typeof usageKinds)[number];

/** One day of a project, in UTC. */
export interface UsageDay extends Readonly<Record<UsageKind, number>> {
  /** 2026-01-31. */
  readonly day: string;
}

/** Days that one query returns at most. */
export const mostUsageDays = 400;

/**
 * Limits of a project. `concurrentRuns`: that workers train at once; others wait. What is
 * beyond another limit is refused. `bytes`: of its stored datasets and weights. `requestsWaiting`: requests to models that wait
 * for a worker. `stepsAMonth`: of runs, those still to come included. `tokensAMonth`: trained and generated. Months are those of UTC.
 */
export const quotaNames = ["bytes", "concurrentRuns", "requestsWaiting", "stepsAMonth", "tokensAMonth"] as const;
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
