/** What Prometheus reads of a worker: its process, and what it asks of the store: jobs, steps, tokens, leases, and what it keeps. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import { SteplogError } from "../schema/errors.ts";
import type { ServingReport } from "../schema/tables.ts";
import { type Store, addPool } from "../store/store.ts";

export class WorkerMetrics {
  readonly registry = new Registry();
  readonly #claimed: Counter<"kind">;
  readonly #attempts: Counter;
  readonly #released: Counter;
  readonly #lost: Counter;
  readonly #steps: Histogram;
  readonly #trained: Counter;
  readonly #generated: Counter;
  readonly #renewals: Histogram;
  readonly #kept: Gauge<"what">;
  #store: Store | undefined;

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
    this.#renewals = new Histogram({
      name: "steplog_lease_renewal_seconds",
      help: "How long the store took to renew leases. A lease lasts 8 s and is renewed every 2 s.",
      buckets: [0.01, 0.03, 0.1, 0.3, 1, 2, 4, 8],
      registers,
    });
    this.#kept = new Gauge({
      name: "steplog_warm_bytes",
      help: "Memory for models and texts of requests: used, and the most.",
      labelNames: ["what"],
      registers,
    });
    addPool(registers, () => this.#store?.poolUse());
    this.#generated = counter("steplog_tokens_generated_total", "Tokens of answers, as they are stored.");
  }

  #keeps(serving: ServingReport | null): void {
    if (serving === null) return;
    this.#kept.set({ what: "used" }, serving.usedBytes);
    this.#kept.set({ what: "limit" }, serving.memoryBytes);
  }

  /** The store, whose answers are counted. */
  watched(store: Store): Store {
    this.#store = store;
    const timed = async <Result>(renewal: Promise<Result>) => {
      const end = this.#renewals.startTimer();
      // One that failed took its time, too.
      return renewal.finally(() => end());
    };
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
      renewLease: (lease, ms) => lost(timed(store.renewLease(lease, ms))),
      renewLeases: (leases, ms) => timed(store.renewLeases(leases, ms)),
      workers: {
        ...store.workers,
        report: (report) => {
          this.#keeps(report.serving ?? null);
          return store.workers.report(report);
        },
      },
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
