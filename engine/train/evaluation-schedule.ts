/**
 * What is measured of a run beside its steps: the validation rows before, during and after, the baselines of in-context
 * learning and linear probing before, and the test rows before and at the best place. What is recorded already is not measured again.
 */
import type { ValidationSet } from "../objective/evaluate.ts";
import { evaluate } from "../objective/evaluate.ts";
import type { Probe } from "../objective/linear-probe.ts";
import { linearProbe } from "../objective/linear-probe.ts";
import type { Place } from "./mezo.ts";
import type { Model } from "../model/model.ts";
import type { Judged } from "../../schema/judged.ts";
import { BestSoFar } from "../../schema/judged.ts";
import type { EvaluationKind } from "../../schema/states.ts";
import type { RunData } from "./data.ts";
import type { EvaluationMessage, FineTuneRequest } from "../thread/messages.ts";

/** Sets of rows that are evaluated. */
type Measured = Exclude<EvaluationKind, "LINEAR_PROBE">;

export class Judge {
  readonly #sets: Readonly<Record<Measured, ValidationSet | null>>;
  readonly #probe: Probe | null;
  readonly #patience: number;
  readonly #recorded: Set<string>;
  readonly #best: BestSoFar;

  constructor({ validation, test, inContext, probe }: RunData, { evaluated, hyperparameters }: FineTuneRequest) {
    this.#sets = { VALIDATION: validation, TEST: test, IN_CONTEXT: inContext };
    this.#probe = probe;
    this.#patience = hyperparameters.patience;
    this.#best = new BestSoFar(hyperparameters.bestMetric);
    this.#recorded = new Set(evaluated.map(({ kind, entries }) => key(kind, entries)));
    for (const one of evaluated) if (one.kind === "VALIDATION") this.#best.add(one);
  }

  /** The best evaluation of the validation rows; null without any. */
  get best(): Judged | null {
    return this.#best.best;
  }

  /** Whether as many evaluations as the run has patience for were no better than the best. */
  get hopeless(): boolean {
    return this.#patience > 0 && this.#best.since >= this.#patience;
  }

  /** By a linear classifier, where that was asked for and not done. */
  async measureProbe(model: Model, place: Place): Promise<EvaluationMessage | null> {
    if (!this.#probe || this.#recorded.has(key("LINEAR_PROBE", place.entries))) return null;
    const judged = await linearProbe(model, this.#probe);
    return { type: "evaluation", kind: "LINEAR_PROBE", ...place, ...judged, f1: null, exactMatch: null };
  }

  /** Null when there is nothing of the kind to measure, or it was measured at this place. */
  async measure(kind: Measured, model: Model, place: Place): Promise<EvaluationMessage | null> {
    const set = this.#sets[kind];
    if (!set || this.isDone(kind, place.entries)) return null;
    this.#recorded.add(key(kind, place.entries));
    const judged = { ...place, ...(await evaluate(model, set)) };
    if (kind === "VALIDATION") this.#best.add(judged);
    return { type: "evaluation", kind, ...judged };
  }

  /** Whether the rows of a kind were measured at a place, or there are none. */
  isDone(kind: Measured, entries: number): boolean {
    return this.#sets[kind] === null || this.#recorded.has(key(kind, entries));
  }
}

function key(kind: EvaluationKind, entries: number): string {
  return `${kind} ${entries}`;
}
