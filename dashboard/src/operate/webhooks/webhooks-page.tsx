/** Where changes of the project are sent to, and whether they arrive. */
import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { useAnswer } from "../../api/query.ts";
import { at } from "../../base.ts";
import { DataTable, type Column } from "../../parts/data-table.tsx";
import { Problem } from "../../parts/problem.tsx";
import { OperateFrame } from "../frame.tsx";
import { listedWebhooks } from "../operations.ts";
import { Secret } from "../secret.tsx";
import { When } from "../when.tsx";
import { eventsInShort } from "./events.ts";
import { NewWebhook, type ListedWebhook, type MadeWebhook } from "./webhook-form.tsx";

const everyMs = 5_000;
export const webhookPath = (id: string) => at(`/operate/webhooks/${encodeURIComponent(id)}`);

export function WebhooksPage() {
  const [making, setMaking] = useState(false);
  return (
    <OperateFrame
      title="Webhooks"
      needs="ADMIN"
      action={() => (
        <button type="button" class="primary" onClick={() => setMaking(true)}>
          New webhook
        </button>
      )}
    >
      {() => <Webhooks making={making} onDone={() => setMaking(false)} />}
    </OperateFrame>
  );
}

function Webhooks({ making, onDone }: { making: boolean; onDone: () => void }) {
  const { route } = useLocation();
  const { data, failure, reload } = useAnswer(listedWebhooks, {}, { everyMs });
  const [made, setMade] = useState<MadeWebhook | null>(null);
  return (
    <>
      {failure && <Problem title="The webhooks could not be read" failure={failure} />}
      {data === null && failure === null && <p class="muted">Loading…</p>}
      {data?.webhooks.length === 0 && (
        <div class="empty card">
          <p>
            There are no webhooks. One tells a program of yours that a run has ended, failed or was measured, so that it
            need not ask again and again.
          </p>
        </div>
      )}
      {data && data.webhooks.length > 0 && (
        <section class="card">
          <DataTable name="Webhooks" columns={columns} rows={data.webhooks} keyOf={({ id }) => id} empty="" />
        </section>
      )}
      {making && (
        <NewWebhook
          onMade={(one) => {
            setMade(one);
            reload();
          }}
          onClose={onDone}
        />
      )}
      {made && <WebhookSecret secret={made.secret} onClose={() => route(webhookPath(made.webhook.id))} />}
    </>
  );
}

const columns: readonly Column<ListedWebhook>[] = [
  {
    title: "Address",
    cell: ({ id, url, description }) => (
      <>
        <a href={webhookPath(id)}>{url}</a>
        {description !== "" && (
          <>
            <br />
            <small class="muted">{description}</small>
          </>
        )}
      </>
    ),
    sortBy: ({ url }) => url,
  },
  { title: "Is told", cell: ({ events }) => <span title={events.join(", ")}>{eventsInShort(events)}</span> },
  { title: "Created", cell: ({ createdAt }) => <When at={createdAt} none="" />, sortBy: (one) => one.createdAt },
  { title: "State", cell: (webhook) => <WebhookState webhook={webhook} />, sortBy: (one) => stateOf(one).words },
];

export function WebhookState({ webhook }: { webhook: ListedWebhook }) {
  const { words, look } = stateOf(webhook);
  const since = webhook.disabledAt ?? webhook.failingSince;
  return (
    <>
      <span class={`status ${look}`}>{words}</span>{" "}
      {since !== null && (
        <small class="muted">
          since <When at={since} none="" />
        </small>
      )}
    </>
  );
}

function stateOf({ enabled, disabledReason, failingSince }: ListedWebhook) {
  if (!enabled) return { words: disabledReason === null ? "Disabled" : "Disabled by the service", look: "" };
  return failingSince === null ? { words: "Enabled", look: "succeeded" } : { words: "Failing", look: "failed" };
}

export function WebhookSecret({ secret, onClose }: { secret: string; onClose: () => void }) {
  return (
    <Secret title="The secret of the webhook" name="Secret" secret={secret} onClose={onClose}>
      <p>
        <strong>It is shown this once.</strong> Your program checks with it that a message comes from this service: each
        has a signature in the header <code>webhook-signature</code>, as the Standard Webhooks libraries check it.
      </p>
    </Secret>
  );
}
