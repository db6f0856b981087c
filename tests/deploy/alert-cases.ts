/**
 * What each alert of deploy/prometheus hears, a value a minute in the notation of promtool ("1+0x9" is ten times 1), and in which
 * minutes it is silent or fires.
 */

export interface AlertCase {
  readonly series: Readonly<Record<string, string>>;
  readonly silent: readonly number[];
  readonly fires: readonly number[];
}

const falls = "1+0x9 0+0x9 1+0x9";
const bucket = (name: string, upTo: string, label: string) => `steplog_${name}_seconds_bucket{${label},le="${upTo}"}`;

/** Ten observations a minute: within `fast` for 20 minutes, then above it. */
function slows(name: string, label: string, [fast, slow]: readonly [string, string]): Record<string, string> {
  return {
    [bucket(name, fast, label)]: "0+10x20 200+0x60",
    [bucket(name, slow, label)]: "0+10x80",
    [bucket(name, "+Inf", label)]: "0+10x80",
  };
}

export const alertCases: Readonly<Record<string, readonly AlertCase[]>> = {
  SteplogStoreDown: [{ series: { steplog_store_up: falls }, silent: [9, 11, 21], fires: [13] }],
  SteplogStorageDown: [{ series: { steplog_storage_up: falls }, silent: [9, 11, 21], fires: [13] }],
  SteplogNoWorker: [
    {
      series: {
        'steplog_workers{asleep="no"}': "1+0x9 0+0x29 1+0x9",
        'steplog_workers{asleep="yes"}': "0+0x49",
        'steplog_queue_jobs{kind="FINE_TUNE",state="free"}': "3+0x49",
      },
      silent: [9, 19, 41],
      fires: [21],
    },
    // An idle service has none, and the one that sleeps is woken.
    { series: { 'steplog_workers{asleep="no"}': "0+0x49" }, silent: [40], fires: [] },
    {
      series: {
        'steplog_workers{asleep="no"}': "0+0x49",
        'steplog_workers{asleep="yes"}': "1+0x49",
        'steplog_queue_jobs{kind="FINE_TUNE",state="free"}': "3+0x49",
      },
      silent: [40],
      fires: [],
    },
  ],
  SteplogQueueOld: [
    {
      series: { 'steplog_queue_oldest_seconds{kind="FINE_TUNE"}': "0+600x60 0+0x5" },
      silent: [36, 46, 62],
      fires: [48],
    },
  ],
  SteplogRequestsWait: [
    {
      series: { 'steplog_queue_oldest_seconds{kind="COMPLETE"}': "0+0x9 30+0x9 0+0x9" },
      silent: [9, 11, 21],
      fires: [13],
    },
    { series: { 'steplog_queue_oldest_seconds{kind="FINE_TUNE"}': "30+0x19" }, silent: [15], fires: [] },
  ],
  SteplogInternalErrors: [
    {
      series: { 'steplog_errors_total{code="INTERNAL"}': "0+0x9 1+1x19 20+0x29" },
      silent: [9, 14, 46],
      fires: [16],
    },
    { series: { 'steplog_errors_total{code="NOT_FOUND"}': "0+5x40" }, silent: [40], fires: [] },
  ],
  SteplogDataCorrupt: [
    { series: { 'steplog_errors_total{code="DATA_CORRUPT"}': "0+0x9 1+0x80" }, silent: [9, 75], fires: [11] },
  ],
  SteplogLeasesLost: [
    { series: { steplog_leases_lost_total: "0+0x4 2+0x14 12+0x39" }, silent: [4, 15, 45], fires: [22] },
  ],
  SteplogAttemptsFail: [
    { series: { steplog_attempts_failed_total: "0+0x4 4+0x39 14+0x59" }, silent: [15, 90], fires: [48] },
  ],
  SteplogWebhooksLate: [
    { series: { steplog_webhook_oldest_seconds: "0+600x60 0+0x5" }, silent: [36, 46, 62], fires: [48] },
  ],
  SteplogWebhookDisabled: [
    { series: { steplog_webhooks_disabled: "2+0x9 3+0x89" }, silent: [9, 80], fires: [12] },
    // Postgres was away: gateways have no number then.
    { series: { steplog_webhooks_disabled: "2+0x9 _x9 2+0x89" }, silent: [15, 25, 85], fires: [] },
  ],
  SteplogSubscriptionsLate: [
    { series: slows("subscription_lag", 'feed="steps"', ["3", "10"]), silent: [19, 29], fires: [36] },
  ],
  SteplogDatabaseBusy: [
    {
      series: { 'steplog_database_transactions{state="waiting"}': "0+0x9 2+0x29 0+0x9" },
      silent: [18, 41],
      fires: [22],
    },
  ],
  SteplogLeasesLate: [{ series: slows("lease_renewal", 'instance="a"', ["1", "4"]), silent: [19, 29], fires: [45] }],
  SteplogEventLoopSlow: [
    { series: { nodejs_eventloop_lag_p99_seconds: "0.1+0x9 0.8+0x29 0.1+0x9" }, silent: [19, 41], fires: [21] },
  ],
};
