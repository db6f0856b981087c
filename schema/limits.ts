/** Every limit of the service, with its unit. Messages and docs quote these constants. */
import { secondsOfDay } from "./units.ts";

export const limits = {
  /** Bytes of one dataset file. */
  datasetBytes: 256 * 1024 * 1024,
  /** Bytes of JSONL given inline in a mutation. Larger datasets are uploaded. */
  inlineDatasetBytes: 1024 * 1024,
  /** Bytes of one line of a dataset. */
  datasetLineBytes: 4 * 1024 * 1024,
  /** Turns of one conversation. */
  turns: 2_048,
  /** Characters of a text without white space between them. */
  wordLength: 262_144,
  /** Rows of one dataset. */
  datasetRows: 1_000_000,
  /** Bytes of a parquet file's row group, uncompressed, and of all its rows as JSON. */
  parquetBytes: 1024 * 1024 * 1024,
  /** Rows that a preview shows, and rows that it counts. */
  previewShown: 10,
  previewCounted: 1_000,
  /** Wrong rows reported in one error. */
  issuesReported: 20,
  /** Bytes of one GraphQL request body. */
  requestBytes: 4 * 1024 * 1024,
  steps: 1_000_000,
  /** Of training that a run may be bounded by: a year. */
  trainingSeconds: 31_536_000,
  batchSize: 1_024,
  /** Batches accumulated in one step. */
  accumulate: 1_024,
  /** Estimates of one step. */
  estimates: 256,
  /** Runs in a row that go back to the best checkpoint of the one before. */
  goBacks: 3,
  loraRank: 1_024,
  /** Tokens of a prefix. */
  prefixLength: 512,
  /** Tokens of a generated answer. */
  answerTokens: 1_024,
  /** Examples before a prompt in the in-context baseline. */
  inContextRows: 256,
  /** Name patterns of tensors or layers. */
  patterns: 64,
  nameLength: 200,
  /** Runs of one sweep. */
  sweepRuns: 100,
  /** Tags of one run, and characters of each. */
  tags: 32,
  tagLength: 64,
  /** Entries of a run's metadata, and characters of each key and value. */
  metadata: 32,
  metadataKeyLength: 64,
  metadataValueLength: 500,
  /** Of a run, from its negative. */
  priority: 100,
  idempotencyKeyLength: 200,
  calibrationLength: 10_000,
  labelWords: 64,
  /** Tokens that any vocabulary may have. */
  vocabulary: 2 ** 24,
  /** Choices of one completion. */
  choices: 8,
  /** Stop strings of one completion, and characters of each. */
  stops: 4,
  stopLength: 64,
  /** Likeliest tokens told with each token. */
  topLogprobs: 20,
  logitBiases: 300,
  /** Prompts of one request, and rows of one request to score. */
  prompts: 64,
  scoredRows: 256,
  /** Points, steps or events returned by one query. */
  chartPoints: 2_000,
  /** Items on one page of a connection. */
  pageSize: 100,
  /** Models in one answer to GET /v1/models. Most clients ask once; the usual names come first. */
  listedModels: 1_000,
} as const;

/** How long a job stays with a worker that stopped renewing its lease. Another takes over within this time plus a poll. */
export const leaseMs = 8_000;
/** How often a worker renews its lease. */
export const renewMs = 2_000;
/** How long a worker that is told to stop waits for the end of a batch, before it gives its job back without it. */
export const giveBackMs = 3_500;
/** How often an idle worker polls, in case it missed a notification. */
export const pollMs = 2_000;
/** A job that was claimed this often without any acknowledged progress fails. */
export const maxAttempts = 20;
/** How long a job waits after a failed attempt: the first time, twice as long each time after, and at most. */
export const retryMs = { first: 1_000, longest: 300_000 } as const;
/** How much longer it waits for the worker that failed, so that another one comes first. */
export const leaveToOthersMs = 2 * pollMs;
/** After this time, what a project had of the workers counts half when they choose whose turn it is. */
export const turnHalfLifeMs = 600_000;
/** How often a worker reports itself. */
export const reportMs = 2_000;
/** A worker that has not reported for this long no longer counts as live. */
export const liveMs = 10_000;
/** Rows of workers that have not reported for this long are deleted. */
export const forgetWorkerMs = 3_600_000;
/** How often a worker scans the models folder for models that are not registered. */
export const scanModelsMs = 10_000;
/** A found model that no worker has seen for this long is gone. */
export const forgetFoundMs = 3 * scanModelsMs;
/** How long estimateFineTune waits for workers to measure, in seconds: unless told, and at most. */
export const measureWait = { usualS: 20, mostS: 60 } as const;
/** A measurement that no worker has begun is forgotten after this time, should whoever asked have died. */
export const forgetMeasureMs = 2 * 60_000;
/** How long a measured step may wait before it is written to the store, and so acknowledged. */
export const appendMs = 100;
/** How long tokens wait for others before they are written to the store; the first ones of a choice do not wait. */
export const pieceMs = 50;
/** A request that was claimed this often without an acknowledged token fails. */
export const completionAttempts = 3;
/** Unless the operator says otherwise: requests that may wait for a worker, for how long, and how long answers are kept. */
export const usualCompletions = { queueLimit: 256, waitS: 60, keepS: secondsOfDay } as const;
/** A request that a worker has left fails when no other has gone on with it for so long. */
export const abandonedMs = 60_000;
/** How often a gateway says that somebody waits for a request, and how long that holds: it ends with its gateway. */
export const attendMs = { renew: 3_000, holds: 10_000 } as const;
/** Consecutive steps with a loss that is not finite before the run fails. */
export const maxSkippedInARow = 3;
