/** What made the difference: the curves of two to ten runs in one chart, their settings side by side, their results. */
import { useEffect } from "preact/hooks";
import { useLocation } from "preact-iso";
import { at } from "../base.ts";
import { formatCounted } from "../format.ts";
import { MenuButton } from "../parts/menu.tsx";
import { Problem } from "../parts/problem.tsx";
import { Status } from "../parts/status.tsx";
import { toldApart } from "../parts/told-apart.ts";
import { AddRun } from "./add-run.tsx";
import { addressOf, comparisonOf, mostCompared, type Comparison } from "./address.ts";
import { Charts } from "./charts.tsx";
import { saveCurves, saveRuns } from "./csv.ts";
import { Results, RunName } from "./results.tsx";
import { Settings } from "./settings.tsx";
import { useCompared, type ComparedRun } from "./use-compared.ts";

export function ComparePage() {
  const { query, route } = useLocation();
  const comparison = comparisonOf(query);
  const { ids } = comparison;
  const { runs, loading, unknown, failure } = useCompared(ids);
  useEffect(() => {
    document.title = "Compare · Steplog";
  }, []);
  const show = (change: Partial<Comparison>) => route(addressOf({ ...comparison, ...change }), true);
  const remove = (some: readonly string[]) => show({ ids: ids.filter((id) => !some.includes(id)) });
  const enough = runs.length >= 2;
  return (
    <>
      <div class="title">
        <h1>Compare</h1>
        {enough && (
          <MenuButton
            label="Download"
            name="Download what is compared"
            actions={[
              { name: "Settings and results as CSV", run: () => saveRuns(runs) },
              { name: "Curves as CSV", run: () => saveCurves(runs) },
            ]}
          />
        )}
      </div>
      {failure && <Problem title="The runs could not be read" failure={failure} />}
      {unknown.length > 0 && (
        <p class="notice" role="status">
          {formatCounted(unknown.length, "run")} of this address {unknown.length === 1 ? "is" : "are"} not there:
          deleted, or of another project.{" "}
          <button type="button" onClick={() => remove(unknown)}>
            Leave out what is missing
          </button>
        </p>
      )}
      <Chosen runs={runs} onRemove={(id) => remove([id])} />
      {ids.length < mostCompared ? (
        <AddRun ids={ids} open={ids.length < 2} onAdd={(id) => show({ ids: [...ids, id] })} />
      ) : (
        <p class="muted">These are {mostCompared} runs, the most that can be compared at once.</p>
      )}
      {loading && <p class="muted">Loading…</p>}
      {!loading && !enough && (
        <p>
          Choose two to {mostCompared} runs to see their losses in one chart and what their settings do: add them here,
          or select them on the page of <a href={at("/")}>all runs</a> and press Compare.
        </p>
      )}
      {enough && (
        <>
          <Charts runs={runs} comparison={comparison} onChange={show} />
          <Settings runs={runs} />
          <Results runs={runs} />
        </>
      )}
    </>
  );
}

/** The runs with their colours, as a legend. */
function Chosen({ runs, onRemove }: { runs: readonly ComparedRun[]; onRemove: (id: string) => void }) {
  if (runs.length === 0) return null;
  const called = toldApart(runs);
  return (
    <ul class="compared" aria-label="Runs that are compared">
      {runs.map((run, index) => (
        <li key={run.id} class="card">
          <RunName run={run} index={index} />
          <Status run={run} />
          <button
            type="button"
            class="quiet"
            aria-label={`Remove ${called.get(run.id) ?? run.name}`}
            onClick={() => onRemove(run.id)}
          >
            <span aria-hidden="true">×</span>
          </button>
        </li>
      ))}
    </ul>
  );
}
