/** All runs: what is running, what failed, which is best. */
import { useEffect, useRef, useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import type { FineTuneSort, FineTuneStatus } from "../../../client/schema-types.ts";
import { useAnswer } from "../api/query.ts";
import { at } from "../base.ts";
import { formatInteger } from "../format.ts";
import { useShortcuts } from "../keys.ts";
import { Problem } from "../parts/problem.tsx";
import { statusWords } from "../parts/status.tsx";
import { Bulk } from "./bulk.tsx";
import { addressOf, isFiltered, listingOf, sortNames, type Listing } from "./filter.ts";
import { runFilters } from "./operations.ts";
import { RunTable } from "./run-table.tsx";
import { useRuns } from "./use-runs.ts";

export function RunsPage() {
  const { query, route } = useLocation();
  const listing = listingOf(query);
  const list = useRuns(listing);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  useEffect(() => {
    document.title = "Runs · Steplog";
  }, []);
  const show = (change: Partial<Listing>) => route(addressOf({ ...listing, ...change }), true);
  const chosen = list.runs.filter(({ id }) => selected.has(id));
  return (
    <>
      <div class="title">
        <h1>Runs</h1>
        <a href={at("/new")} class="button primary">
          New run
        </a>
      </div>
      <Filters listing={listing} onChange={show} />
      {list.failure && <Problem title="The runs could not be read" failure={list.failure} />}
      <Bulk
        runs={chosen}
        onClear={() => setSelected(new Set())}
        onDone={() => {
          setSelected(new Set());
          list.reload();
        }}
      />
      {list.newer && (
        <button type="button" class="newer" onClick={list.reload}>
          There are newer runs: show them
        </button>
      )}
      {list.total === null && list.failure === null && <p class="muted">Loading…</p>}
      {list.total === 0 && <Nothing listing={listing} onClear={() => route(at("/"), true)} />}
      {list.runs.length > 0 && <RunTable list={list} selected={selected} onSelect={setSelected} />}
      {list.total !== null && list.total > 0 && (
        <p class="muted" role="status">
          {formatInteger(list.runs.length)} of {formatInteger(list.total)} runs
        </p>
      )}
    </>
  );
}

function Nothing({ listing, onClear }: { listing: Listing; onClear: () => void }) {
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
      <a href={at("/new")} class="button">
        Start the first run
      </a>
    </div>
  );
}

interface FiltersProps {
  readonly listing: Listing;
  readonly onChange: (change: Partial<Listing>) => void;
}

const typingMs = 250;

function Filters({ listing, onChange }: FiltersProps) {
  const search = useRef<HTMLInputElement>(null);
  const typing = useRef<ReturnType<typeof setTimeout>>(undefined);
  const { data } = useAnswer(runFilters, {});
  useShortcuts([{ keys: "/", does: "Search the runs", run: () => search.current?.focus() }]);
  // Every letter is not a question.
  const later = (change: Partial<Listing>) => {
    clearTimeout(typing.current);
    typing.current = setTimeout(() => onChange(change), typingMs);
  };
  return (
    <search class="filters">
      <label class="wide">
        <span class="hidden">Search by name</span>
        <input
          ref={search}
          type="search"
          placeholder="Search by name  /"
          defaultValue={listing.search}
          onInput={({ currentTarget: { value } }) => later({ search: value })}
        />
      </label>
      <Choice
        label="Status"
        value={listing.status}
        options={[["", "Any status"], ...Object.entries(statusWords)]}
        onValue={(status) => onChange({ status: status as FineTuneStatus | "" })}
      />
      <Choice
        label="Base model"
        value={listing.model}
        options={[["", "Any base model"], ...(data?.baseModels.nodes ?? []).map(({ name }) => [name, name] as const)]}
        onValue={(model) => onChange({ model })}
      />
      <label>
        <span class="hidden">Tag</span>
        <input
          type="search"
          placeholder="Tag"
          defaultValue={listing.tag}
          onInput={({ currentTarget: { value } }) => later({ tag: value.trim() })}
        />
      </label>
      <Choice
        label="Order"
        value={listing.sort}
        options={Object.entries(sortNames)}
        onValue={(sort) => onChange({ sort: sort as FineTuneSort })}
      />
      <label class="check">
        <input
          type="checkbox"
          checked={listing.archived}
          onChange={({ currentTarget: { checked } }) => onChange({ archived: checked })}
        />
        Archived
      </label>
    </search>
  );
}

interface ChoiceProps {
  readonly label: string;
  readonly value: string;
  readonly options: readonly (readonly [string, string])[];
  readonly onValue: (value: string) => void;
}

function Choice({ label, value, options, onValue }: ChoiceProps) {
  return (
    <select aria-label={label} value={value} onChange={({ currentTarget }) => onValue(currentTarget.value)}>
      {options.map(([one, name]) => (
        <option key={one} value={one} selected={one === value}>
          {name}
        </option>
      ))}
    </select>
  );
}
