/** Every bound of the service, once, with its unit. Messages and docs quote these constants. */

export const limits = {
  /** Bytes of one dataset file. */
  datasetBytes: 256 * 1024 * 1024,
  /** Bytes of JSONL given inline in a mutation; longer goes through an upload. */
  inlineDatasetBytes: 1024 * 1024,
  /** Bytes of one line of a dataset. */
  datasetLineBytes: 4 * 1024 * 1024,
  /** Rows of one dataset. */
  datasetRows: 1_000_000,
  /** Bytes of a parquet file's row group, unpacked, and of all its rows as JSON. */
  parquetBytes: 1024 * 1024 * 1024,
  /** Wrong rows reported at once. */
  issuesReported: 20,
  /** Bytes of one GraphQL request body. */
  requestBytes: 4 * 1024 * 1024,
  steps: 1_000_000,
  batchSize: 1_024,
  /** Batches of one step. */
  accumulate: 1_024,
  /** Estimates of one step. */
  estimates: 256,
  loraRank: 1_024,
  /** Tokens of a prefix. */
  prefixLength: 512,
  /** Tokens of an answer that is judged. */
  answerTokens: 1_024,
  /** Demonstrations in front of a prompt. */
  inContextRows: 256,
  /** Patterns of names of tensors or layers. */
  patterns: 64,
  nameLength: 200,
  idempotencyKeyLength: 200,
  calibrationLength: 10_000,
  labelWords: 64,
  /** Points of one metrics query, after downsampling. */
  chartPoints: 2_000,
  /** Items of one page of a connection. */
  pageSize: 100,
} as const;

/** How long a claimed job stays with a worker that no longer renews it. Takeover happens within this and a poll. */
export const leaseMs = 8_000;
/** How often a live worker renews. */
export const renewMs = 2_000;
/** How often an idle worker looks for work that no notification announced. */
export const pollMs = 2_000;
/** How often a worker looks into the models folder for what is not registered. */
export const scanModelsMs = 10_000;
/** The longest a measured step waits before it is in the store, and so acknowledged. */
export const appendMs = 100;
/** Steps in a row whose loss is not finite before the run fails. */
export const maxSkippedInARow = 3;
