/** A webhook's address, what it is for, and what it is told. For a new one, and to change one. */
import { useState } from "preact/hooks";
import { webhookLimits } from "../../../../schema/webhooks.ts";
import { change } from "../../api/query.ts";
import { commands } from "../../parts/commands.ts";
import { steplog } from "../../parts/copy-as.tsx";
import { Field } from "../../parts/form/field.tsx";
import { toast } from "../../parts/toast.tsx";
import { FormDialog, textOf } from "../../parts/form/form-dialog.tsx";
import { changeWebhook, makeWebhook, type ListedWebhookFragment, type MakeWebhookMutation } from "../operations.ts";
import { eventGroups, eventWords } from "./events.ts";

export type ListedWebhook = ListedWebhookFragment;
export type MadeWebhook = MakeWebhookMutation["createWebhook"];

interface NewProps {
  readonly onMade: (made: MadeWebhook) => void;
  readonly onClose: () => void;
}

export function NewWebhook({ onMade, onClose }: NewProps) {
  return (
    <FormDialog
      title="New webhook"
      action="Create the webhook"
      onSend={async (form) => onMade((await change(makeWebhook, { input: inputOf(form) })).createWebhook)}
      repeat={(form) => ({
        what: "Create this webhook",
        operation: makeWebhook,
        variables: { input: inputOf(form) },
        command: steplog(commands.createWebhook(inputOf(form))),
      })}
      onClose={onClose}
    >
      <p>The service sends a message to this address when something changes, and tries again when nobody answers.</p>
      <Fields webhook={null} />
    </FormDialog>
  );
}

interface ChangeProps {
  readonly webhook: ListedWebhook;
  readonly onChanged: () => void;
  readonly onClose: () => void;
}

export function ChangeWebhook({ webhook, onChanged, onClose }: ChangeProps) {
  const variables = (form: FormData) => ({ id: webhook.id, input: inputOf(form) });
  const send = async (form: FormData) => {
    await change(changeWebhook, variables(form));
    toast("Changed.");
    onChanged();
  };
  return (
    <FormDialog
      title="Change the webhook"
      action="Save"
      onSend={send}
      repeat={(form) => ({
        what: "Change this webhook",
        operation: changeWebhook,
        variables: variables(form),
        command: steplog(commands.changeWebhook(webhook.id, inputOf(form))),
      })}
      onClose={onClose}
    >
      <Fields webhook={webhook} />
    </FormDialog>
  );
}

function inputOf(form: FormData) {
  const events = form.getAll("events").filter((one) => typeof one === "string");
  return {
    url: textOf(form, "url"),
    description: textOf(form, "description"),
    events: textOf(form, "told") === "all" ? [] : events,
  };
}

function Fields({ webhook }: { webhook: ListedWebhook | null }) {
  const [told, setTold] = useState(webhook === null || webhook.events.length === 0 ? "all" : "some");
  return (
    <>
      <Field label="Address that receives the messages" name="url">
        {(shared) => (
          <input
            {...shared}
            type="url"
            required
            maxLength={webhookLimits.urlLength}
            placeholder="https://example.com/hooks/steplog"
            defaultValue={webhook?.url ?? ""}
          />
        )}
      </Field>
      <Field label="What it is for" name="description">
        {(shared) => (
          <input {...shared} maxLength={webhookLimits.descriptionLength} defaultValue={webhook?.description ?? ""} />
        )}
      </Field>
      <Field label="It is told" name="told">
        {(shared) => (
          <select {...shared} value={told} onChange={({ currentTarget: { value } }) => setTold(value)}>
            <option value="all">all changes</option>
            <option value="some">only these changes</option>
          </select>
        )}
      </Field>
      {told === "some" && (
        <Field label="Changes" name="events">
          {({ id, name, ...attributes }) => (
            <div id={id} role="group" aria-label="Changes" class="choices events-choice" {...attributes}>
              {eventGroups.map((group) => (
                <details key={group.name} open={group.events.some((event) => webhook?.events.includes(event))}>
                  <summary>{group.name}</summary>
                  {group.events.map((event) => (
                    <label key={event} class="check">
                      <input
                        type="checkbox"
                        name={name}
                        value={event}
                        defaultChecked={webhook?.events.includes(event) ?? false}
                      />
                      <span>
                        <code>{event}</code>
                        <small>{eventWords[event]}</small>
                      </span>
                    </label>
                  ))}
                </details>
              ))}
            </div>
          )}
        </Field>
      )}
    </>
  );
}
