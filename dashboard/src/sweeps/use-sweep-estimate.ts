/** How many runs and forward passes a sweep would have, asked for anew when something has changed. */
import { useEffect, useState } from "preact/hooks";
import type { CreateSweepInput } from "../../../client/schema-types.ts";
import { asFailure, type Failure } from "../api/failure.ts";
import { ask, useAttempts } from "../api/query.ts";
import { refusalOf } from "../new/problems.ts";
import { estimateSweep, type EstimateSweepQuery } from "./operations.ts";

export interface EstimatedSweep {
  readonly estimate: EstimateSweepQuery["estimateSweep"] | null;
  /** What would be refused, or why there is no estimate. */
  readonly failure: Failure | null;
  readonly busy: boolean;
}

const typingMs = 400;
const nothing: EstimatedSweep = { estimate: null, failure: null, busy: false };

/** @param input null while it cannot be asked for */
export function useSweepEstimate(input: CreateSweepInput | null): EstimatedSweep {
  const [made, setMade] = useState<EstimatedSweep>(nothing);
  const attempts = useAttempts(made.failure);
  useEffect(() => {
    if (input === null) {
      setMade(nothing);
      return undefined;
    }
    let over = false;
    setMade((last) => ({ ...last, busy: true }));
    const make = async () => {
      try {
        const { estimateSweep: estimate } = await ask(estimateSweep, { input });
        if (!over) setMade({ estimate, failure: refusalOf(estimate), busy: false });
      } catch (error) {
        if (!over) setMade({ ...nothing, failure: asFailure(error) });
      }
    };
    const timer = setTimeout(() => void make(), typingMs);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [JSON.stringify(input), attempts]);
  return made;
}
