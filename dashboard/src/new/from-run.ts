/** Fills in the form from an existing run, so that a new one can differ from it in a few settings. */
import { useEffect, useState } from "preact/hooks";
import { asFailure, type Failure } from "../api/failure.ts";
import { ask, useAttempts } from "../api/query.ts";
import type { Change, Draft } from "./draft.ts";
import { runToCopy } from "./operations.ts";
import { draftOf } from "./run-draft.ts";

/** @param id of the run, from the address; undefined for none */
export function useRunToCopy(id: string | undefined, draft: Draft, change: Change): Failure | null {
  const [failure, setFailure] = useState<Failure | null>(null);
  const attempts = useAttempts(failure);
  useEffect(() => {
    if (id === undefined || draft.copied?.id === id) return;
    setFailure(null);
    ask(runToCopy, { id })
      .then(({ fineTune }) => {
        if (fineTune) change({ ...draftOf(fineTune), copied: { id, name: fineTune.name } });
        else setFailure({ code: "NOT_FOUND", message: `There is no run ${id}. Fill in the steps below.`, issues: [] });
      })
      .catch((error: unknown) => setFailure(asFailure(error)));
  }, [id, attempts]);
  return failure;
}
