/** What can be done with a webhook. */
import { useState } from "preact/hooks";
import { asFailure, type Failure } from "../../api/failure.ts";
import { change } from "../../api/query.ts";
import { formatCounted } from "../../format.ts";
import { commands } from "../../parts/commands.ts";
import { Confirm } from "../../parts/confirm.tsx";
import { Field } from "../../parts/form/field.tsx";
import { CopyAs, steplog } from "../../parts/copy-as.tsx";
import { MenuButton, type Action } from "../../parts/menu.tsx";
import { Problem } from "../../parts/problem.tsx";
import { toast } from "../../parts/toast.tsx";
import { FormDialog, textOf } from "../../parts/form/form-dialog.tsx";
import { changeWebhook, removeWebhook, renewWebhookSecret, sendAgain, testWebhook } from "../operations.ts";
import { ChangeWebhook, type ListedWebhook } from "./webhook-form.tsx";
import { WebhookSecret } from "./webhooks-page.tsx";

interface MenuProps {
  readonly webhook: ListedWebhook;
  readonly onChanged: () => void;
  readonly onDeleted: () => void;
}

type Deed = "change" | "replay" | "renew" | "delete";

export function WebhookMenu({ webhook, onChanged, onDeleted }: MenuProps) {
  const { id, url, enabled } = webhook;
  const [deed, setDeed] = useState<Deed | null>(null);
  const [secret, setSecret] = useState<string | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const close = () => setDeed(null);
  const attempt = async (work: () => Promise<unknown>, done: string) => {
    setFailure(null);
    try {
      await work();
      toast(done);
    } catch (error) {
      setFailure(asFailure(error));
    }
    onChanged();
  };
  const toggle = () =>
    attempt(() => change(changeWebhook, { id, input: { enabled: !enabled } }), enabled ? "Disabled." : "Enabled.");
  const test: Action = {
    name: "Send a test",
    run: () => void attempt(() => change(testWebhook, { id }), "A test is on its way."),
    beside: (
      <CopyAs
        what="the test of this webhook"
        operation={testWebhook}
        variables={{ id }}
        command={steplog(commands.testWebhook(id))}
      />
    ),
  };
  const actions: Action[] = [
    test,
    { name: "Change…", run: () => setDeed("change") },
    {
      name: enabled ? "Disable" : "Enable",
      run: () => void toggle(),
      beside: (
        <CopyAs
          what="whether it gets messages"
          operation={changeWebhook}
          variables={{ id, input: { enabled: !enabled } }}
          command={steplog(commands.enableWebhook(id, !enabled))}
        />
      ),
    },
    { name: "Send everything again since…", run: () => setDeed("replay") },
    { name: "New secret…", run: () => setDeed("renew") },
    { name: "Delete…", danger: true, run: () => setDeed("delete") },
  ];
  const renew = async () => setSecret((await change(renewWebhookSecret, { id })).rotateWebhookSecret.secret);
  const remove = async () => {
    await change(removeWebhook, { id });
    toast("Deleted.");
    onDeleted();
  };
  return (
    <>
      <button type="button" onClick={test.run}>
        {test.name}
      </button>
      <MenuButton label="More" name={`More actions of the webhook ${url}`} actions={actions} />
      {failure && <Problem title="That did not work" failure={failure} />}
      {deed === "change" && <ChangeWebhook webhook={webhook} onChanged={onChanged} onClose={close} />}
      {deed === "replay" && <SendSince webhook={webhook} onSent={onChanged} onClose={close} />}
      {deed === "renew" && (
        <Confirm
          title="Make a new secret?"
          action="Make a new secret"
          repeat={{
            what: "the change of secret",
            operation: renewWebhookSecret,
            variables: { id },
            command: steplog(commands.renewWebhookSecret(id)),
          }}
          onConfirm={renew}
          onClose={close}
        >
          <p>
            For 24 hours messages are signed with the old one too, so that your program can change over. After that, a
            program with the old one refuses them.
          </p>
        </Confirm>
      )}
      {deed === "delete" && (
        <Confirm
          title={`Delete the webhook ${url}?`}
          action="Delete it"
          danger
          repeat={{
            what: "the removal of this webhook",
            operation: removeWebhook,
            variables: { id },
            command: steplog(commands.deleteWebhook(id)),
          }}
          onConfirm={remove}
          onClose={close}
        >
          <p>
            Messages that wait for it are not sent, and its list of messages is lost. To stop it for a while, disable
            it.
          </p>
        </Confirm>
      )}
      {secret !== null && <WebhookSecret secret={secret} onClose={() => setSecret(null)} />}
    </>
  );
}

function SendSince({ webhook, onSent, onClose }: { webhook: ListedWebhook; onSent: () => void; onClose: () => void }) {
  const variables = (form: FormData) => {
    const since = new Date(textOf(form, "since"));
    return { id: webhook.id, since: Number.isNaN(since.getTime()) ? null : since.toISOString() };
  };
  const send = async (form: FormData) => {
    const { replayWebhook: count } = await change(sendAgain, variables(form));
    toast(`${formatCounted(count, "message")} sent again.`);
    onSent();
  };
  return (
    <FormDialog
      title="Send everything again"
      action="Send again"
      onSend={send}
      repeat={(form) => ({
        what: "Send these again",
        operation: sendAgain,
        variables: variables(form),
        command: steplog(commands.replayWebhook(webhook.id, variables(form))),
      })}
      onClose={onClose}
    >
      <p>
        All messages since then that this webhook would get today, whether they were received or not. They have the same
        webhook-id, so a program that keeps those ids drops what it has seen. Messages are kept for 30 days.
      </p>
      <Field label="Since" name="since">
        {(shared) => <input {...shared} type="datetime-local" required />}
      </Field>
    </FormDialog>
  );
}
