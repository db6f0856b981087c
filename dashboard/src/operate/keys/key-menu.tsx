/** What can be done with a key. What ends something says what, before it happens. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { keyHasEnded } from "../../../../schema/projects.ts";
import { client } from "../../api/client.ts";
import { change } from "../../api/query.ts";
import { Confirm } from "../../parts/confirm.tsx";
import { commands } from "../../parts/commands.ts";
import { steplog } from "../../parts/copy-as.tsx";
import { Field } from "../../parts/form/field.tsx";
import { MenuButton, type Action } from "../../parts/menu.tsx";
import { toast } from "../../parts/toast.tsx";
import { FormDialog, numberOf, textOf } from "../../parts/form/form-dialog.tsx";
import { deleteKey, renameKey, revokeKey, rotateKey } from "../operations.ts";
import { RatesForm } from "../rates-form.tsx";
import type { Who } from "../who.ts";
import type { ListedKey, MadeKey } from "./types.ts";

interface KeyMenuProps {
  readonly apiKey: ListedKey;
  /** Its name, and what tells it from others of it: a key that was rotated has its successor's. */
  readonly called: string;
  readonly who: Who;
  readonly onMade: (key: MadeKey, how: { used: boolean }) => void;
  readonly onChanged: () => void;
}

type Deed = "rename" | "rotate" | "rates" | "revoke" | "delete";

export function KeyMenu(props: KeyMenuProps) {
  const { apiKey, called, who } = props;
  const [deed, setDeed] = useState<Deed | null>(null);
  const ask = (name: string, one: Deed, danger = false): Action => ({ name, danger, run: () => setDeed(one) });
  const ended = keyHasEnded(apiKey);
  const actions = [
    ask("Rename…", "rename"),
    ...(ended ? [] : [ask("Rotate…", "rotate")]),
    ...(who.operator && !ended ? [ask("Rate limits…", "rates")] : []),
    ended ? ask("Delete…", "delete", true) : ask("Revoke…", "revoke", true),
  ];
  const close = () => setDeed(null);
  return (
    <>
      <MenuButton label="⋯" name={`Actions of the key ${called}`} actions={actions} />
      {deed === "rename" && <Rename {...props} onClose={close} />}
      {deed === "rotate" && <Rotate {...props} onClose={close} />}
      {deed === "revoke" && <Revoke {...props} onClose={close} />}
      {deed === "delete" && <Delete {...props} onClose={close} />}
      {deed === "rates" && <RatesForm of={{ apiKey: apiKey.id }} name={apiKey.name} onClose={close} />}
    </>
  );
}

interface DeedProps extends KeyMenuProps {
  readonly onClose: () => void;
}

function Rename({ apiKey, onChanged, onClose }: DeedProps) {
  const variables = (form: FormData) => ({ id: apiKey.id, name: textOf(form, "name") });
  const send = async (form: FormData) => {
    await change(renameKey, variables(form));
    toast("Renamed.");
    onChanged();
  };
  return (
    <FormDialog
      title={`Rename “${apiKey.name}”`}
      action="Rename"
      onSend={send}
      repeat={(form) => ({
        what: "Rename this key",
        operation: renameKey,
        variables: variables(form),
        command: steplog(commands.renameKey(apiKey, textOf(form, "name"))),
      })}
      onClose={onClose}
    >
      <p>Whoever uses the key notices nothing. What the audit log has of it stays under the old name.</p>
      <Field label="Name" name="name">
        {(shared) => <input {...shared} required maxLength={200} defaultValue={apiKey.name} />}
      </Field>
    </FormDialog>
  );
}

function Rotate({ apiKey, who, onMade, onClose }: DeedProps) {
  const own = apiKey.id === who.keyId;
  const variables = (form: FormData) => ({ id: apiKey.id, overlapSeconds: numberOf(form, "overlapSeconds") ?? 0 });
  return (
    <FormDialog
      title={`Rotate “${apiKey.name}”`}
      action="Make its successor"
      // Not by urql: the list is read again only once this page has the new key.
      onSend={async (form) => onMade((await client.query(rotateKey, variables(form))).rotateApiKey, { used: own })}
      repeat={(form) => ({
        what: "Rotate this key",
        operation: rotateKey,
        variables: variables(form),
        command: steplog(commands.rotateKey(apiKey, variables(form).overlapSeconds)),
      })}
      onClose={onClose}
    >
      <p>
        This makes a new key with the same name, scopes and lifetime. When the old key ends, so does every connection
        that uses it. {own && "This page uses that key, and will switch to the new one by itself."}
      </p>
      <Field label="The old key ends" name="overlapSeconds">
        {(shared) => (
          <select {...shared}>
            <option value="0">at once</option>
            <option value="3600">in an hour</option>
            <option value="86400">in a day</option>
            <option value="604800">in a week</option>
            <option value="2592000">in 30 days</option>
          </select>
        )}
      </Field>
    </FormDialog>
  );
}

function Revoke({ apiKey, who, onChanged, onClose }: DeedProps) {
  const revoke = async () => {
    await change(revokeKey, { id: apiKey.id });
    toast("Revoked.");
    onChanged();
  };
  return (
    <Confirm
      title={`Revoke “${apiKey.name}”?`}
      action="Revoke it"
      danger
      repeat={{
        what: "Revoke this key",
        operation: revokeKey,
        variables: { id: apiKey.id },
        command: steplog(commands.revokeKey(apiKey)),
      }}
      onConfirm={revoke}
      onClose={onClose}
    >
      <p>
        It ends at once, at every gateway, with all that is open under it: streams, WebSockets, downloads. Runs that it
        started go on. It cannot be taken back: make another key instead.
      </p>
      {apiKey.id === who.keyId && <Warning>This page uses it. It will ask for another key.</Warning>}
    </Confirm>
  );
}

function Delete({ apiKey, onChanged, onClose }: DeedProps) {
  const remove = async () => {
    await change(deleteKey, { id: apiKey.id });
    toast("Deleted.");
    onChanged();
  };
  return (
    <Confirm
      title={`Delete “${apiKey.name}”?`}
      action="Delete it"
      danger
      repeat={{
        what: "Delete this key",
        operation: deleteKey,
        variables: { id: apiKey.id },
        command: steplog(commands.deleteKey(apiKey)),
      }}
      onConfirm={remove}
      onClose={onClose}
    >
      <p>The key has ended already. It goes from this list; the audit log keeps its name and what was done with it.</p>
    </Confirm>
  );
}

function Warning({ children }: { children: ComponentChildren }) {
  return (
    <p>
      <strong>{children}</strong>
    </p>
  );
}
