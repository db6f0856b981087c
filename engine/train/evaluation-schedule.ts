/**
 * When a run evaluates, and what: the validation rows before, during and after training; two baselines (in-context
 * learning and a linear probe) before; and the test rows before, and at the best step. Evaluations that are already
 * recorded are not repeated, so a run that resumes knows which was best and when to end.
 */
import type { StepEvaluation } from "../../schema/best-evaluation.ts";
import { BestSoFar } from "../../schema/best-evaluation.ts";
import type { EvaluationKind } from "../../schema/states.ts";
import type { Model } from "../model/model.ts";
import type { EvaluationSet } from "../objective/evaluate.ts";
import { evaluate } from "../objective/evaluate.ts";
import { linearProbe } from "../objective/linear-probe.ts";
import type { EvaluationMessage, FineTuneRequest } from "../thread/messages.ts";
import type { RunData } from "./data.ts";
import type { RunPosition } from "./mezo.ts";

type Measured = Omit<EvaluationMessage, "seconds">;

/** Evaluations by the model itself. */
type ModelEvaluation = Exclude<EvaluationKind, "LINEAR_PROBE">;

export class EvaluationSchedule {
  readonly #sets: Readonly<Record<ModelEvaluation, EvaluationSet | null>>;
  readonly #probe: RunData["probe"];
  readonly #settings: FineTuneRequest["hyperparameters"];
  readonly #recorded: Set<string>;
  readonly #best: BestSoFar;

  constructor({ validation, test, inContext, probe }: RunData, { evaluated, hyperparameters }: FineTuneRequest) {
    this.#sets = { VALIDATION: validation, TEST: test, IN_CONTEXT: inContext };
    this.#probe = probe;
    this.#settings = hyperparameters;
    this.#best = new BestSoFar(hyperparameters.bestMetric);
    this.#recorded = new Set(evaluated.map(({ kind, entries }) => key(kind, entries)));
    for (const one of evaluated) if (one.kind === "VALIDATION") this.#best.add(one);
  }

  /** Whether the validation rows are due after a step that is not the last. */
  isDue(step: number): boolean {
    const { evaluateEvery, steps } = this.#settings;
    return step < steps && isMultiple(step, evaluateEvery);
  }

  /** The best evaluation of the validation rows; null before the first. */
  get best(): StepEvaluation | null {
    return this.#best.best;
  }

  /** Whether `patience` evaluations in a row were no better than the best. */
  get outOfPatience(): boolean {
    const { patience } = this.#settings;
    return patience > 0 && this.#best.since >= patience;
  }

  /** Null if there is nothing of this kind to measure, or it was measured at this position. */
  async measure(kind: ModelEvaluation, model: Model, position: RunPosition): Promise<Measured | null> {
    const set = this.#sets[kind];
    if (!set || this.isDone(kind, position.entries)) return null;
    this.#recorded.add(key(kind, position.entries));
    const evaluation = { ...position, ...(await evaluate(model, set)) };
    if (kind === "VALIDATION") this.#best.add(evaluation);
    return { type: "evaluation", kind, ...evaluation };
  }

  /** Whether there is nothing of this kind left to measure at a position. */
  isDone(kind: ModelEvaluation, entries: number): boolean {
    return this.#sets[kind] === null || this.#recorded.has(key(kind, entries));
  }

  /** The linear probe; null if the run has none, or it was measured. */
  async measureProbe(model: Model, position: RunPosition, pause: () => Promise<void>): Promise<Measured | null> {
    if (!this.#probe || this.#recorded.has(key("LINEAR_PROBE", position.entries))) return null;
    const scores = await linearProbe(model, this.#probe, pause);
    return { type: "evaluation", kind: "LINEAR_PROBE", ...position, ...scores, f1: null, exactMatch: null };
  }
}

function key(kind: EvaluationKind, entries: number): string {
  return `${kind} ${entries}`;
}

/** Never for an interval of 0. */
export function isMultiple(step: number, interval: number): boolean {
  return interval > 0 && step % interval === 0;
}
