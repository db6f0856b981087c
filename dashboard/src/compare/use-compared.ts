/** The runs that are compared, each read once, and again every few seconds while it goes on and the page is visible. */
import { useEffect, useRef, useState } from "preact/hooks";
import { heard } from "../api/connection.ts";
import { asFailure, type Failure } from "../api/failure.ts";
import { ask, useAgain } from "../api/query.ts";
import { isFinal } from "../parts/status.tsx";
import { compareRuns, type ComparedRunFragment } from "./operations.ts";

export type ComparedRun = ComparedRunFragment;

export interface Compared {
  /** In the order of the address, those that are read. */
  readonly runs: readonly ComparedRun[];
  readonly loading: boolean;
  /** Ids that no run has. */
  readonly unknown: readonly string[];
  readonly failure: Failure | null;
}

const refreshMs = 3_000;
/** Of each run's curve: more than the chart has pixels for each. */
const points = 500;

export function useCompared(ids: readonly string[]): Compared {
  const [known, setKnown] = useState<ReadonlyMap<string, ComparedRun | null>>(new Map());
  const [failure, setFailure] = useState<Failure | null>(null);
  const latest = useRef({ ids, known });
  latest.current = { ids, known };

  const read = async (some: readonly string[]) => {
    if (some.length === 0) return;
    try {
      const { nodes } = await ask(compareRuns, { ids: some, points });
      setKnown((before) => new Map([...before, ...some.map((id, index) => [id, runOf(nodes[index])] as const)]));
      setFailure(null);
      heard(true);
    } catch (error) {
      const seen = asFailure(error);
      heard(seen.code !== "UNAVAILABLE");
      setFailure(seen);
    }
  };
  useAgain(failure, () => void read(ids));
  useEffect(() => void read(ids.filter((id) => !known.has(id))), [ids.join()]);
  useEffect(() => {
    const again = () => {
      const { ids: shown, known: found } = latest.current;
      return shown.filter((id) => goesOn(found.get(id)));
    };
    const timer = setInterval(() => !document.hidden && void read(again()), refreshMs);
    return () => clearInterval(timer);
  }, []);
  return {
    runs: ids.flatMap((id) => known.get(id) ?? []),
    loading: failure === null && ids.some((id) => !known.has(id)),
    unknown: ids.filter((id) => known.get(id) === null),
    failure,
  };
}

const runOf = (node: ComparedRun | object | null | undefined) => (node && "id" in node ? node : null);

/** Also one that is not read yet, as after an error. */
const goesOn = (run: ComparedRun | null | undefined) => run === undefined || (run !== null && !isFinal(run.status));
