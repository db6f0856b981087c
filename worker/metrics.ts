/** What Prometheus reads of a worker: its process, and what it asks of the store: jobs, steps, tokens, leases that it lost. */
import { Counter, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import { SteplogError } from "../schema/errors.ts";
import type { Store } from "../store/store.ts";

export class WorkerMetrics {
  readonly registry = new Registry();
  readonly #claimed: Counter<"kind">;
  readonly #attempts: Counter;
  readonly #released: Counter;
  readonly #lost: Counter;
  readonly #steps: Histogram;
  readonly #trained: Counter;
  readonly #generated: Counter;

  constructor() {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    const counter = (name: string, help: string) => new Counter({ name, help, registers });
    this.#claimed = new Counter({
      name: "steplog_jobs_claimed_total",
      help: "Jobs that this worker began, by kind.",
      labelNames: ["kind"],
      registers,
    });
    this.#attempts = counter("steplog_attempts_failed_total", "Attempts that ended with an error and are repeated.");
    this.#released = counter("steplog_jobs_released_total", "Jobs that were given back, because the worker ends.");
    this.#lost = counter("steplog_leases_lost_total", "Writes that the store refused: the job is another worker's.");
    this.#steps = new Histogram({
      name: "steplog_step_seconds",
      help: "Steps that are stored, by how long each took.",
      buckets: [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100],
      registers,
    });
    this.#trained = counter("steplog_tokens_trained_total", "Tokens of the rows of stored steps.");
    this.#generated = counter("steplog_tokens_generated_total", "Tokens of answers, as they are stored.");
  }

  /** The store, whose answers are counted. */
  watched(store: Store): Store {
    const lost = <Result>(result: Promise<Result>) =>
      result.catch((error: unknown) => {
        if (error instanceof SteplogError && error.code === "LEASE_LOST") this.#lost.inc();
        throw error;
      });
    return {
      ...store,
      claimJob: async (claim) => {
        const job = await store.claimJob(claim);
        if (job) this.#claimed.inc({ kind: job.kind });
        return job;
      },
      renewLease: (lease, ms) => lost(store.renewLease(lease, ms)),
      appendSteps: async (lease, batch) => {
        const answer = await lost(store.appendSteps(lease, batch));
        for (const { seconds } of batch.metrics) this.#steps.observe(seconds);
        this.#trained.inc(batch.tokens);
        return answer;
      },
      appendPieces: async (answers, device) => {
        const wanted = await store.appendPieces(answers, device);
        for (const [index, { pieces }] of answers.entries()) {
          if (wanted[index] === null) this.#lost.inc();
          else this.#generated.inc(pieces.reduce((sum, { tokens }) => sum + tokens.length, 0));
        }
        return wanted;
      },
      repeatJob: async (lease, failure) => {
        const isRepeated = await store.repeatJob(lease, failure);
        if (isRepeated) this.#attempts.inc();
        return isRepeated;
      },
      releaseJob: async (lease) => {
        await store.releaseJob(lease);
        this.#released.inc();
      },
    };
  }
}
