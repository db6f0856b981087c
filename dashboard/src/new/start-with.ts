/** Fills in what a link of another page is about: a dataset to tune on, a model to tune, or the example. */
import { useLocation } from "preact-iso";
import { useEffect, useState } from "preact/hooks";
import { SteplogError } from "../../../client/browser.ts";
import { asFailure, type Failure } from "../api/failure.ts";
import { ask, useAttempts } from "../api/query.ts";
import { at } from "../base.ts";
import type { Change } from "./draft.ts";
import { exampleRows } from "./example.ts";
import { rowsToTuneOn } from "./operations.ts";

/** The address loses what was taken from it, so that a reload keeps what was chosen since. */
export function useStartWith(query: Readonly<Record<string, string>>, change: Change): Failure | null {
  const { route } = useLocation();
  const [failure, setFailure] = useState<Failure | null>(null);
  const attempts = useAttempts(failure);
  const { dataset, model, example } = query;
  useEffect(() => {
    if (dataset === undefined && model === undefined && example === undefined) return;
    setFailure(null);
    if (model !== undefined) change({ baseModel: model });
    if (example !== undefined) change({ source: "own", text: exampleRows, file: null, stored: null, open: "data" });
    rowsOf(dataset)
      .then((rows) => {
        if (rows) change({ source: "stored", dataset: rows, open: "model" });
        route(at("/new"), true);
      })
      .catch((error: unknown) => setFailure(asFailure(error)));
  }, [dataset, model, example, attempts]);
  return failure;
}

async function rowsOf(id: string | undefined) {
  if (id === undefined) return null;
  const { dataset } = await ask(rowsToTuneOn, { id });
  if (dataset?.deletedAt !== null)
    throw new SteplogError("NOT_FOUND", `There is no dataset ${id}. Choose another below.`);
  return { id, name: dataset.name, rows: dataset.rows };
}
