/** One webhook: what it is told, how its messages were received, and what can be done with it. */
import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import type { WebhookDeliveryStatus } from "../../../../client/schema-types.ts";
import { useAnswer } from "../../api/query.ts";
import { at } from "../../base.ts";
import { formatTime } from "../../format.ts";
import { Problem } from "../../parts/problem.tsx";
import { toldApart } from "../../parts/told-apart.ts";
import { OperateFrame } from "../frame.tsx";
import { oneWebhook } from "../operations.ts";
import { Pager } from "../pager.tsx";
import { useAddress } from "../projects.ts";
import { OneDelivery } from "./delivery.tsx";
import { eventWords } from "./events.ts";
import { WebhookMenu } from "./webhook-menu.tsx";
import type { ListedWebhook } from "./webhook-form.tsx";
import { WebhookState } from "./webhooks-page.tsx";

const pageSize = 50;
const everyMs = 3_000;

const statuses: readonly (readonly [WebhookDeliveryStatus | "", string])[] = [
  ["", "All messages"],
  ["DELIVERED", "Delivered"],
  ["PENDING", "Still to be tried"],
  ["FAILED", "Given up"],
];

export function WebhookPage({ id }: { id: string }) {
  return (
    <OperateFrame title="Webhooks" needs="ADMIN">
      {() => <Webhook key={id} id={id} />}
    </OperateFrame>
  );
}

function Webhook({ id }: { id: string }) {
  const { route } = useLocation();
  const { query, set } = useAddress();
  const [gone, setGone] = useState(false);
  const chosen = statuses.find(([one]) => one === query["status"])?.[0] ?? "";
  const status = chosen === "" ? null : chosen;
  const variables = { id, first: pageSize, after: query["after"] ?? null, status };
  const { data, failure, reload } = useAnswer(oneWebhook, variables, { everyMs, skip: gone });
  const webhook = data?.webhook ?? null;
  if (failure && data === null) return <Problem title="The webhook could not be read" failure={failure} />;
  if (data === null) return <p class="muted">Loading…</p>;
  if (webhook === null)
    return (
      <div class="empty card">
        <p>There is no such webhook: it was deleted, or belongs to another project.</p>
        <a href={at("/operate/webhooks")}>All webhooks</a>
      </div>
    );
  const { deliveries } = webhook;
  const called = toldApart(
    deliveries.nodes.map(({ id: one, type, createdAt }) => ({ id: one, name: `${type}, ${formatTime(createdAt)}` })),
  );
  return (
    <>
      {failure && <Problem title="The webhook could not be read again" failure={failure} />}
      <About
        webhook={webhook}
        onChanged={reload}
        onDeleted={() => {
          setGone(true);
          route(at("/operate/webhooks"));
        }}
      />
      <section class="card" aria-labelledby="deliveries">
        <div class="title">
          <h2 id="deliveries">Messages</h2>
          <select
            aria-label="Which messages"
            class="narrow"
            value={chosen}
            onChange={({ currentTarget }) => set({ status: currentTarget.value, after: "" })}
          >
            {statuses.map(([one, name]) => (
              <option key={one} value={one} selected={one === chosen}>
                {name}
              </option>
            ))}
          </select>
        </div>
        <p class="muted">Newest first. They are kept for 30 days.</p>
        {deliveries.nodes.length === 0 && (
          <p>
            {status === null
              ? "No messages have been sent yet. “Send a test” sends one now."
              : "No message has this status."}
          </p>
        )}
        {deliveries.nodes.map((delivery) => (
          <OneDelivery
            key={delivery.id}
            delivery={delivery}
            called={called.get(delivery.id) ?? delivery.type}
            webhook={webhook}
            onSent={reload}
          />
        ))}
      </section>
      <Pager page={deliveries.pageInfo} />
    </>
  );
}

interface AboutProps {
  readonly webhook: ListedWebhook;
  readonly onChanged: () => void;
  readonly onDeleted: () => void;
}

function About({ webhook, onChanged, onDeleted }: AboutProps) {
  const { url, description, events, disabledReason } = webhook;
  return (
    <section class="card" aria-labelledby="webhook">
      <div class="title">
        <h2 id="webhook" class="address">
          {url}
        </h2>
        <WebhookState webhook={webhook} />
        <WebhookMenu webhook={webhook} onChanged={onChanged} onDeleted={onDeleted} />
      </div>
      {description !== "" && <p>{description}</p>}
      {disabledReason !== null && (
        <p class="bad">
          {disabledReason} Enable it once the address answers: what waited is sent then, what happened in between is
          not.
        </p>
      )}
      {events.length === 0 ? (
        <p>It is told of all changes.</p>
      ) : (
        <>
          <p>It is told when:</p>
          <ul class="plain">
            {events.map((event) => (
              <li key={event}>
                <code>{event}</code> {eventWords[event]}
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}
