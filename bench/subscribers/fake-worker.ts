/** Runs without a worker: what one would store, with made-up losses, through the store. */
import { hyperparametersSchema } from "../../schema/hyperparameters.ts";
import { invariant } from "../../schema/errors.ts";
import { jobKinds } from "../../schema/jobs.ts";
import { Chain, encodeHeader, packScalars, ruleSeed } from "../../schema/step-log.ts";
import type { ClaimedJob, Store } from "../../store/store.ts";

const model = { name: "bench", hash: "ab".repeat(32), family: "opt", dtype: "F32" };
const capabilities = {
  kinds: jobKinds,
  families: [model.family],
  precisions: ["FLOAT32" as const],
  memoryBytes: Number.MAX_SAFE_INTEGER,
  models: [model],
};
const commit = 1_000;
const leaseMs = 3_600_000;

export class FakeRun {
  readonly #store: Store;
  readonly #job: ClaimedJob;
  readonly #chain: Chain;
  readonly id: string;
  /** When each step was committed: milliseconds since 1970. */
  readonly committed: number[] = [];

  private constructor(store: Store, job: ClaimedJob, chain: Chain) {
    this.#store = store;
    this.#job = job;
    this.#chain = chain;
    this.id = job.subject;
  }

  /** Creates a run, claims it, and begins its log. The store has no other jobs. */
  static async begin(store: Store, steps: number, name = "bench"): Promise<FakeRun> {
    await createRun(store, steps, name);
    const job = await store.claimJob({ worker: "bench", leaseMs, capabilities });
    invariant(job, "the run that was just created can be claimed");
    const header = { format: 1, base: model.hash, noise: "rademacher", seed: 0, hyperparameters: { steps } } as const;
    const headerBytes = encodeHeader({ ...header, trainable: [{ name: "w", shape: [2, 2], dtype: "F32" }] });
    const chain = Chain.start(headerBytes);
    await store.beginLog(job, { headerBytes, chain: chain.hash, device: "none: a benchmark" });
    return new FakeRun(store, job, chain);
  }

  /** Its id in the API. */
  get globalId(): string {
    return Buffer.from(`FineTune:${this.id}`).toString("base64");
  }

  /** Many steps, in commits of a thousand. */
  async appendAll(steps: number): Promise<void> {
    for (let left = steps; left > 0; left -= commit) await this.append(Math.min(commit, left));
  }

  async append(count: number): Promise<void> {
    const first = this.committed.length;
    const scalars = Array.from({ length: count }, (_, index) => ((first + index) % 16) / 16);
    scalars.forEach((scalar, index) => this.#chain.add({ seed: ruleSeed(0, first + index), scalar }));
    const metrics = scalars.map((scalar, index) => metricOf(first + index + 1, scalar));
    await this.#store.appendSteps(this.#job, {
      firstEntry: first,
      scalars: packScalars(scalars),
      decays: null,
      chainAfter: this.#chain.hash,
      metrics,
      tokens: count,
    });
    const now = Date.now();
    for (let index = 0; index < count; index++) this.committed.push(now);
  }

  finish(): Promise<void> {
    return this.#store.finishFineTune(this.#job, { status: "SUCCEEDED" });
  }
}

/** @returns its id */
export async function createRun(store: Store, steps: number, name: string): Promise<string> {
  const base = await store.baseModels.register({ ...model, parameters: 4, bytes: 16, contextLength: 32 });
  const dataset = await store.datasets.create({ name: "rows", sha256: "cd".repeat(32), bytes: 4, rows: 1 });
  const { fineTune } = await store.fineTunes.create({
    idempotencyKey: null,
    name,
    baseModelId: base.id,
    datasetId: dataset.id,
    validationDatasetId: null,
    testDatasetId: null,
    labelWords: [],
    hyperparameters: hyperparametersSchema.parse({ steps }),
  });
  return fineTune.id;
}

function metricOf(step: number, scalar: number) {
  const [projectedGradient, learningRate, seconds] = [scalar, 1e-6, 0.1];
  return { step, loss: 1 + scalar, projectedGradient, learningRate, skipped: null, zero: false, seconds };
}
