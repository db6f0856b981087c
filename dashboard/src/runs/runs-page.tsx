/** All runs: what is running, what failed, which is best. */
import { useEffect } from "preact/hooks";
import { useLocation } from "preact-iso";
import { useAnswer } from "../api/query.ts";
import { needsScope, useMay } from "../api/viewer.ts";
import { at } from "../base.ts";
import { formatCounted, formatInteger } from "../format.ts";
import { Problem } from "../parts/problem.tsx";
import { Bulk } from "./bulk.tsx";
import { addressOf, isFiltered, listingOf, orders, type Listing } from "./filter.ts";
import { Filters } from "./filters.tsx";
import { runFilters } from "./operations.ts";
import { RunTable } from "./run-table.tsx";
import { useRuns } from "./use-runs.ts";
import { useSelection } from "./use-selection.ts";

export function RunsPage() {
  const { query, route } = useLocation();
  const listing = listingOf(query);
  const list = useRuns(listing);
  const selection = useSelection(list.runs);
  const { data } = useAnswer(runFilters, {});
  const mayChange = useMay()("TRAIN");
  const { only } = orders[listing.sort];
  useEffect(() => {
    document.title = "Runs · Steplog";
  }, []);
  const show = (change: Partial<Listing>) => route(addressOf({ ...listing, ...change }), true);
  return (
    <>
      <div class="title">
        <h1>Runs</h1>
        {mayChange && (
          <a href={at("/new")} class="button primary">
            New run
          </a>
        )}
      </div>
      <Filters listing={listing} models={(data?.baseModels.nodes ?? []).map(({ name }) => name)} onChange={show} />
      {list.failure && <Problem title="The runs could not be read" failure={list.failure} />}
      <Bulk selection={selection} list={list} mayChange={mayChange} />
      {only !== undefined && <p class="muted">In this order there are only runs {only}.</p>}
      {list.newer && (
        <button type="button" class="newer" onClick={list.reload}>
          There are newer runs: show them
        </button>
      )}
      {list.total === null && list.runs.length === 0 && list.failure === null && <p class="muted">Loading…</p>}
      {list.total === 0 && <Nothing listing={listing} mayCreate={mayChange} onClear={() => route(at("/"), true)} />}
      {list.runs.length > 0 && <RunTable list={list} listing={listing} selection={selection} onOrder={show} />}
      {list.total !== null && list.total > 0 && (
        <p class="muted" role="status">
          {formatInteger(list.runs.length)} of {formatCounted(list.total, "run")}
        </p>
      )}
    </>
  );
}

interface NothingProps {
  readonly listing: Listing;
  readonly mayCreate: boolean;
  readonly onClear: () => void;
}

function Nothing({ listing, mayCreate, onClear }: NothingProps) {
  if (isFiltered(listing))
    return (
      <div class="empty card">
        <p>No run fits these filters.</p>
        <button type="button" onClick={onClear}>
          Show all runs
        </button>
      </div>
    );
  return (
    <div class="empty card">
      <p>
        There are no runs yet. A run tunes a base model on your rows: prompts, and what the model should answer to them.
      </p>
      {mayCreate ? (
        <div class="actions">
          <a href={at("/new?example=rows")} class="button">
            Try the example
          </a>
          <a href={at("/new")} class="button">
            Start with your own rows
          </a>
        </div>
      ) : (
        <p class="muted">To create one, {needsScope("TRAIN")}.</p>
      )}
    </div>
  );
}
