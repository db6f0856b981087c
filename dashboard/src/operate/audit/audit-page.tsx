/** Who did what: everything that is done to keys, projects, webhooks and shares, and every deletion. */
import type { AuditActorKind } from "../../../../client/schema-types.ts";
import { auditActions } from "../../../../schema/audit.ts";
import { useAnswer } from "../../api/query.ts";
import { formatAgo, formatTime, none } from "../../format.ts";
import { DataTable, type Column } from "../../parts/data-table.tsx";
import { Problem } from "../../parts/problem.tsx";
import { useTyped } from "../../parts/typed.ts";
import { OperateFrame } from "../frame.tsx";
import { auditEntries, type AuditEntriesQuery } from "../operations.ts";
import { Pager } from "../pager.tsx";
import { ProjectChoice } from "../project-choice.tsx";
import { useAddress } from "../projects.ts";
import type { Who } from "../who.ts";
import { detailInWords, typeInWords } from "./words.ts";

type Entry = AuditEntriesQuery["auditLog"]["nodes"][number];

const pageSize = 50;

export function AuditPage() {
  return (
    <OperateFrame title="Audit log" needs="ADMIN">
      {(who) => <Audit who={who} />}
    </OperateFrame>
  );
}

function Audit({ who }: { who: Who }) {
  const { query } = useAddress();
  const { data, failure, reload } = useAnswer(auditEntries, {
    first: pageSize,
    after: query["after"] ?? null,
    action: query["action"] ?? null,
    actor: query["actor"] ?? null,
    project: query["project"] ?? null,
    from: startOf(query["from"]),
    until: endOf(query["to"]),
  });
  const filtered = ["action", "actor", "project", "from", "to"].some((name) => query[name] !== undefined);
  return (
    <>
      <p class="muted">
        What is done to keys, projects, quotas, webhooks and shares, every deletion, and what the service itself deletes
        when its time is over. It holds no rows, prompts, answers or secrets. Runs have histories of their own.
      </p>
      <Filters who={who} onReload={reload} />
      {failure && <Problem title="The audit log could not be read" failure={failure} />}
      {data === null && failure === null && <p class="muted">Loading…</p>}
      {data && (
        <section class="card">
          <DataTable
            name="Audit log"
            columns={columns}
            rows={data.auditLog.nodes}
            keyOf={({ at, action, objectId, actor }) => `${at} ${action} ${objectId} ${actor.requestId}`}
            empty={filtered ? "No entry fits these filters." : "Nothing has been recorded yet."}
          />
        </section>
      )}
      {data && <Pager page={data.auditLog.pageInfo} />}
    </>
  );
}

/** Days are those of whoever reads. */
const startOf = (day: string | undefined) => (day === undefined ? null : new Date(`${day}T00:00`).toISOString());

function endOf(day: string | undefined): string | null {
  if (day === undefined) return null;
  const end = new Date(`${day}T00:00`);
  end.setDate(end.getDate() + 1);
  return end.toISOString();
}

function Filters({ who, onReload }: { who: Who; onReload: () => void }) {
  const { query, set } = useAddress();
  const searchActor = useTyped((text) => set({ actor: text.trim(), after: "" }));
  const action = query["action"] ?? "";
  return (
    <search class="filters labelled">
      <ProjectChoice who={who} all="All projects" />
      <label>
        What was done
        <select value={action} onChange={({ currentTarget }) => set({ action: currentTarget.value, after: "" })}>
          <option value="">Anything</option>
          {Object.keys(auditActions).map((one) => (
            <option key={one} value={one} selected={one === action}>
              {one}
            </option>
          ))}
        </select>
      </label>
      <label>
        By whom
        <input
          type="search"
          list="actors"
          placeholder="Name of a key"
          defaultValue={query["actor"] ?? ""}
          onInput={({ currentTarget: { value } }) => searchActor(value)}
        />
      </label>
      <datalist id="actors">
        {Object.entries(actorWords).map(([kind, words]) => (
          <option key={kind} value={kind}>
            {words}
          </option>
        ))}
      </datalist>
      {(["from", "to"] as const).map((end) => (
        <label key={end}>
          {end === "from" ? "From" : "To"}
          <input
            type="date"
            value={query[end] ?? ""}
            onChange={({ currentTarget: { value } }) => set({ [end]: value, after: "" })}
          />
        </label>
      ))}
      <button type="button" onClick={onReload}>
        Read again
      </button>
    </search>
  );
}

const actorWords: Readonly<Record<AuditActorKind, string>> = {
  KEY: "A key",
  OPERATOR: "The operator's token, or anybody while there were no keys",
  COMMAND: "A command with access to the database",
  SERVICE: "The service itself",
};

const columns: readonly Column<Entry>[] = [
  {
    title: "When",
    cell: ({ at }) => (
      <time dateTime={at} title={formatAgo(at)}>
        {formatTime(at)}
      </time>
    ),
    sortBy: ({ at }) => at,
  },
  { title: "What", cell: ({ action }) => <code>{action}</code>, sortBy: ({ action }) => action },
  {
    title: "Of",
    long: true,
    cell: ({ objectType, objectName, objectId }) => (
      <span title={objectId ?? ""}>
        {objectName ?? objectId ?? none} <small class="muted">{typeInWords(objectType)}</small>
      </span>
    ),
    sortBy: ({ objectName }) => objectName,
  },
  { title: "By", long: true, cell: ({ actor }) => <Actor actor={actor} />, sortBy: ({ actor }) => actor.name },
  {
    title: "More",
    long: true,
    cell: ({ details }) => details.map(detailInWords).join("; ") || none,
  },
];

function Actor({ actor: { kind, name, address, requestId } }: { actor: Entry["actor"] }) {
  const from = [address, requestId && `request ${requestId}`].filter(Boolean).join(", ");
  return (
    <span title={from}>
      {name ?? actorWords[kind]}
      {name !== null && (
        <>
          {" "}
          <small class="muted">{kind.toLowerCase()}</small>
        </>
      )}
    </span>
  );
}
