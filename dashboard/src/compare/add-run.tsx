/** Finds runs by their name, to compare them with the others. Without a name, the newest ones are offered. */
import { useRef, useState } from "preact/hooks";
import { useAnswer } from "../api/query.ts";
import { formatAgo } from "../format.ts";
import { useShortcuts } from "../keys.ts";
import { Problem } from "../parts/problem.tsx";
import { Status } from "../parts/status.tsx";
import { toldApart } from "../parts/told-apart.ts";
import { useTyped } from "../parts/typed.ts";
import { findRuns } from "./operations.ts";

interface AddRunProps {
  readonly label?: string;
  /** What choosing one does, as its button says before the name. */
  readonly verb?: string;
  readonly ids: readonly string[];
  /** The newest runs are offered before anything is typed. */
  readonly open: boolean;
  readonly onAdd: (id: string) => void;
}

const mostShown = 6;

export function AddRun({ label = "Add a run", verb = "Add", ids, open, onAdd }: AddRunProps) {
  const search = useRef<HTMLInputElement>(null);
  const [name, setName] = useState("");
  const searchFor = useTyped((text) => setName(text.trim()));
  const asked = name !== "" || open;
  const { data, failure } = useAnswer(findRuns, { name }, { skip: !asked });
  useShortcuts([{ keys: "/", does: "Search a run", run: () => search.current?.focus() }]);
  const found = (asked ? (data?.fineTunes.nodes ?? []) : []).filter(({ id }) => !ids.includes(id)).slice(0, mostShown);
  const called = toldApart(found);
  const add = (id: string) => {
    if (search.current) search.current.value = "";
    setName("");
    onAdd(id);
    search.current?.focus();
  };
  return (
    <search class="add-run">
      <label>
        {label}{" "}
        <input
          ref={search}
          type="search"
          placeholder="Part of its name  /"
          onInput={({ currentTarget: { value } }) => searchFor(value)}
        />
      </label>
      {failure && <Problem title="The runs could not be searched" failure={failure} />}
      {asked && data !== null && found.length === 0 && (
        <p class="muted" role="status">
          {name === "" ? "There are no other runs." : "No other run has this in its name."}
        </p>
      )}
      {found.length > 0 && (
        <ul aria-label="Runs that can be added">
          {found.map((run) => (
            <li key={run.id}>
              <button type="button" onClick={() => add(run.id)}>
                <span class="cut">
                  <span class="muted">{verb}</span> {called.get(run.id) ?? run.name}
                </span>
                <Status run={run} />
                <span class="muted">{formatAgo(run.createdAt)}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </search>
  );
}
