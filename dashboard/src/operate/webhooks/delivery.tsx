/** One message: whether it was received, what each attempt met, and when it is tried next. */
import { useState } from "preact/hooks";
import { asFailure, type Failure } from "../../api/failure.ts";
import { change } from "../../api/query.ts";
import { formatAgo, formatDuration, formatTime } from "../../format.ts";
import { commands } from "../../parts/commands.ts";
import { CopyAs, steplog } from "../../parts/copy-as.tsx";
import { copy } from "../../parts/copy.ts";
import { Problem } from "../../parts/problem.tsx";
import { toast } from "../../parts/toast.tsx";
import { sendAgain, type OneWebhookQuery } from "../operations.ts";
import { When } from "../when.tsx";
import type { ListedWebhook } from "./webhook-form.tsx";

type Delivery = NonNullable<OneWebhookQuery["webhook"]>["deliveries"]["nodes"][number];
type Attempt = Delivery["attempts"][number];

const looks = {
  DELIVERED: { words: "Delivered", look: "succeeded" },
  PENDING: { words: "Will be tried", look: "warn" },
  FAILED: { words: "Given up", look: "failed" },
} as const;

interface DeliveryProps {
  readonly delivery: Delivery;
  /** Its type and time, and what tells it from others of both. */
  readonly called: string;
  readonly webhook: ListedWebhook;
  readonly onSent: () => void;
}

export function OneDelivery({ delivery, called, webhook, onSent }: DeliveryProps) {
  const { type, status, createdAt, nextAttemptAt, attempts, payload, webhookId } = delivery;
  const [failure, setFailure] = useState<Failure | null>(null);
  const [open, setOpen] = useState(false);
  const { words, look } = looks[status];
  const last = attempts.at(-1);
  const again = async () => {
    setFailure(null);
    try {
      await change(sendAgain, { id: webhook.id, webhookId });
      toast("It is sent again.");
      onSent();
    } catch (error) {
      setFailure(asFailure(error));
    }
  };
  return (
    <div class="delivery" role="group" aria-label={`Message ${called}`}>
      <div class="title">
        <span class={`status ${look}`}>
          {words}
          {status === "PENDING" && attempts.length > 0 && " again"}
        </span>
        <code>{type}</code>
        <span class="muted">
          <When at={createdAt} none="" />
        </span>
        <button type="button" class="quiet" aria-label={`Send again: ${called}`} onClick={() => void again()}>
          Send again
        </button>
        <CopyAs
          what={`the sending of ${called}`}
          operation={sendAgain}
          variables={{ id: webhook.id, webhookId }}
          command={steplog(commands.replayWebhook(webhook.id, { webhookId }))}
        />
      </div>
      {last?.error && <span class="bad long">{last.error}</span>}
      {nextAttemptAt !== null && (
        <span class="muted">
          {webhook.enabled ? `Next attempt: ${formatAgo(nextAttemptAt)}` : "It waits until the webhook is enabled."}
        </span>
      )}
      {failure && <Problem title="It was not sent again" failure={failure} />}
      <details open={open} onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
        <summary>{attempts.length === 0 ? "Not tried yet" : `Attempts: ${attempts.length}`}, and what is sent</summary>
        {open && (
          <>
            <ol class="attempts">
              {attempts.map((attempt) => (
                <li key={attempt.number} value={attempt.number}>
                  {attemptWords(attempt)}
                </li>
              ))}
            </ol>
            <pre class="payload" tabIndex={0} role="region" aria-label={`Body of ${called}`}>
              {indented(payload)}
            </pre>
            <button
              type="button"
              class="quiet"
              aria-label={`Copy the body of ${called}`}
              onClick={() => void copy(payload)}
            >
              Copy the body
            </button>{" "}
            <small class="muted">
              <code>webhook-id: {webhookId}</code>, the same each time
            </small>
          </>
        )}
      </details>
    </div>
  );
}

function attemptWords({ at, seconds, responseCode, error }: Attempt): string {
  const took =
    seconds === null ? "" : `; it took ${seconds < 1 ? `${Math.round(seconds * 1_000)} ms` : formatDuration(seconds)}`;
  const met = error ?? (responseCode === null ? "under way" : `answered ${responseCode}`);
  return `${formatTime(at)}: ${met}${took}`;
}

function indented(payload: string): string {
  try {
    return JSON.stringify(JSON.parse(payload), null, 2);
  } catch {
    return payload;
  }
}
