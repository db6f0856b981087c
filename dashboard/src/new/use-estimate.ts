/** What a run would take, asked for anew when something has changed. */
import { useEffect, useState } from "preact/hooks";
import type { CreateFineTuneInput } from "../../../client/browser.ts";
import { asFailure, type Failure } from "../api/failure.ts";
import { ask, useAttempts } from "../api/query.ts";
import { estimateFineTune, type EstimateFineTuneQuery } from "./operations.ts";
import { refusalOf } from "./problems.ts";

export type FineTuneEstimate = EstimateFineTuneQuery["estimateFineTune"];

export interface Estimated {
  readonly estimate: FineTuneEstimate | null;
  /** What would be refused, or why there is no estimate. */
  readonly failure: Failure | null;
  /** A newer one is being made. */
  readonly busy: boolean;
}

const typingMs = 500;
const nothing: Estimated = { estimate: null, failure: null, busy: false };

/**
 * Counts come at once. Then idle workers are given time to measure, if that is not known yet.
 * @param input null while it cannot be asked for
 */
export function useEstimate(input: CreateFineTuneInput | null): Estimated {
  const [made, setMade] = useState<Estimated>(nothing);
  const attempts = useAttempts(made.failure);
  const content = JSON.stringify(input);
  useEffect(() => {
    const state = { over: false };
    const make = async (waitSeconds?: number) => {
      if (input === null) return null;
      const { estimateFineTune: estimate } = await ask(estimateFineTune, { input, waitSeconds });
      const unknown = estimate.workers.some(({ lacks, seconds }) => lacks.length === 0 && seconds === null);
      const more = waitSeconds === 0 && unknown && estimate.counts !== null;
      if (!state.over) setMade({ estimate, failure: refusalOf(estimate), busy: more });
      return more;
    };
    const both = async () => {
      try {
        if ((await make(0)) && !state.over) await make();
      } catch (error) {
        if (!state.over) setMade({ ...nothing, failure: asFailure(error) });
      }
    };
    setMade(input === null ? nothing : (last) => ({ ...last, busy: true }));
    const timer = setTimeout(() => void both(), typingMs);
    return () => {
      state.over = true;
      clearTimeout(timer);
    };
  }, [content, attempts]);
  return made;
}
