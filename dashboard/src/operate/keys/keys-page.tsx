/** Who has a key, what it allows, and when it was last used. A key is shown once, when it is made. */
import { useState } from "preact/hooks";
import { keyHasEnded } from "../../../../schema/projects.ts";
import { useAnswer } from "../../api/query.ts";
import { goOnWith } from "../../api/session.ts";
import { formatTime } from "../../format.ts";
import { DataTable, type Column } from "../../parts/data-table.tsx";
import { Problem } from "../../parts/problem.tsx";
import { toldApart } from "../../parts/told-apart.ts";
import { OperateFrame } from "../frame.tsx";
import { listedKeys } from "../operations.ts";
import { Pager } from "../pager.tsx";
import { ProjectChoice } from "../project-choice.tsx";
import { useAddress } from "../projects.ts";
import { Secret } from "../secret.tsx";
import { When } from "../when.tsx";
import type { Who } from "../who.ts";
import { KeyMenu } from "./key-menu.tsx";
import { NewKeyForm } from "./new-key.tsx";
import type { ListedKey, MadeKey } from "./types.ts";

const pageSize = 100;
const everyMs = 5_000;

export function KeysPage() {
  const [making, setMaking] = useState(false);
  return (
    <OperateFrame
      title="Keys"
      needs="ADMIN"
      action={() => (
        <button type="button" class="primary" onClick={() => setMaking(true)}>
          New key
        </button>
      )}
    >
      {(who) => <Keys who={who} making={making} onMade={() => setMaking(false)} />}
    </OperateFrame>
  );
}

function Keys({ who, making, onMade }: { who: Who; making: boolean; onMade: () => void }) {
  const { query } = useAddress();
  const project = query["project"] ?? null;
  const variables = { project, first: pageSize, after: query["after"] ?? null };
  const { data, failure, reload } = useAnswer(listedKeys, variables, { everyMs });
  const [made, setMade] = useState<{ readonly key: MadeKey; readonly used: boolean } | null>(null);
  /** The page switches to a key that replaces its own, or to the first key of a service that had none. */
  const show = (key: MadeKey, { used }: { used: boolean }) => {
    if (used) goOnWith(key.key);
    setMade({ key, used });
    reload();
  };
  return (
    <>
      {who.open && <FirstKey />}
      <div class="filters labelled">
        <ProjectChoice who={who} />
      </div>
      {failure && <Problem title="The keys could not be read" failure={failure} />}
      {data === null && failure === null && <p class="muted">Loading…</p>}
      {data && (
        <section class="card">
          <DataTable
            name="API keys"
            columns={columnsFor(data.apiKeys.nodes, who, show, reload)}
            rows={data.apiKeys.nodes}
            keyOf={({ id }) => id}
            empty="There are no keys here yet. A key says who somebody is, and what they may do."
          />
        </section>
      )}
      {data && <Pager page={data.apiKeys.pageInfo} />}
      {making && (
        <NewKeyForm who={who} project={project} onMade={(key) => show(key, { used: who.open })} onClose={onMade} />
      )}
      {made && <ShownOnce made={made.key} used={made.used} onClose={() => setMade(null)} />}
    </>
  );
}

function FirstKey() {
  return (
    <div class="notice" role="note">
      <p>
        <strong>This service has no keys: whoever reaches it may do everything.</strong> It should be reachable from its
        own machine only. The first key changes this:
      </p>
      <ul>
        <li>From then on every request needs a key: programs, commands, clients of OpenAI, and this page.</li>
        <li>Workers go on as they are: they use the database, and no key. What is stored stays.</li>
        <li>This page signs in with the new key by itself. Keep a copy: nobody can read it again.</li>
      </ul>
    </div>
  );
}

function columnsFor(
  keys: readonly ListedKey[],
  who: Who,
  onMade: (key: MadeKey, how: { used: boolean }) => void,
  onChanged: () => void,
): readonly Column<ListedKey>[] {
  const called = toldApart(keys.map(({ id, name, start }) => ({ id, name, mark: `${start}…` })));
  return [
    { title: "Name", cell: (key) => <Name apiKey={key} own={key.id === who.keyId} />, sortBy: ({ name }) => name },
    {
      title: "Project",
      cell: ({ project }) => <span class="cut">{project.name}</span>,
      sortBy: (key) => key.project.name,
    },
    { title: "Allows", cell: ({ scopes }) => scopes.join(", ") },
    {
      title: "Last used",
      cell: ({ lastUsedAt }) => <When at={lastUsedAt} none="Never" />,
      sortBy: ({ lastUsedAt }) => lastUsedAt,
    },
    {
      title: "Ends",
      cell: ({ expiresAt }) => <When at={expiresAt} none="Never" />,
      sortBy: (key) => key.expiresAt,
    },
    { title: "State", cell: (key) => <State apiKey={key} />, sortBy: (key) => stateOf(key).words },
    {
      title: "Actions",
      cell: (key) => (
        <KeyMenu apiKey={key} called={called.get(key.id) ?? key.name} who={who} onMade={onMade} onChanged={onChanged} />
      ),
    },
  ];
}

function Name({ apiKey: { name, start }, own }: { apiKey: ListedKey; own: boolean }) {
  return (
    <>
      {name}
      {own && <span class="tag">this page</span>}
      <br />
      <small class="muted">
        <code>{start}…</code>
      </small>
    </>
  );
}

const soonMs = 7 * 86_400_000;

function stateOf(key: ListedKey): { readonly words: string; readonly look: string } {
  if (key.revokedAt !== null) return { words: "Revoked", look: "" };
  if (keyHasEnded(key)) return { words: "Expired", look: "" };
  if (key.expiresAt !== null && Date.parse(key.expiresAt) < Date.now() + soonMs)
    return { words: "Ends soon", look: "warn" };
  return { words: "Active", look: "succeeded" };
}

function State({ apiKey }: { apiKey: ListedKey }) {
  const { words, look } = stateOf(apiKey);
  return (
    <span class={`status ${look}`} title={apiKey.revokedAt === null ? "" : formatTime(apiKey.revokedAt)}>
      {words}
    </span>
  );
}

function ShownOnce({ made, used, onClose }: { made: MadeKey; used: boolean; onClose: () => void }) {
  return (
    <Secret title={`The key “${made.apiKey.name}”`} name="API key" secret={made.key} onClose={onClose}>
      <p>
        <strong>It is shown this once.</strong> The service keeps only a fingerprint of it. Programs send it as{" "}
        <code>Authorization: Bearer KEY</code>; commands take it from <code>STEPLOG_API_TOKEN</code>.
      </p>
      {used && <p>This page is signed in with it now, and so is every other tab of this browser.</p>}
    </Secret>
  );
}
