/** A form over the page. What is typed stays when an attempt fails. Open as long as it is rendered. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { asFailure, type Failure } from "../../api/failure.ts";
import { CopyAs, type Repeat } from "../copy-as.tsx";
import { CheckedForm } from "./checked-form.tsx";

interface FormDialogProps {
  readonly title: string;
  /** The deed, as its button names it. */
  readonly action: string;
  readonly danger?: boolean;
  /** What did not happen, as the title of an error. */
  readonly failed?: string;
  /** Stays open afterwards: the form shows the result itself. */
  readonly stays?: boolean;
  /** The button that closes it without the deed. */
  readonly cancel?: string;
  readonly onSend: (form: FormData) => Promise<unknown>;
  /** What is copied of it, from what is typed so far. */
  readonly repeat?: (form: FormData) => Repeat;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}

export function FormDialog(props: FormDialogProps) {
  const { title, action, danger = false, failed = "That did not work", cancel = "Cancel", children } = props;
  const { onSend, repeat, onClose, stays = false } = props;
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [typed, setTyped] = useState<FormData | null>(null);
  const read = () => {
    const form = dialog.current?.querySelector("form");
    if (form) setTyped(new FormData(form));
  };
  // Once the control has told its change as well: a form that is drawn between the two would give a select its old value back.
  const readSoon = () => void setTimeout(read);
  useEffect(() => {
    dialog.current?.showModal();
    if (repeat) read();
  }, []);
  // The button that was pressed loses the focus while it is disabled, and so would the dialog.
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!busy && document.activeElement === document.body) button.current?.focus();
  }, [busy]);
  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    if (!(event.currentTarget instanceof HTMLFormElement)) return;
    const form = new FormData(event.currentTarget);
    setBusy(true);
    setFailure(null);
    try {
      await onSend(form);
      if (!stays) dialog.current?.close();
    } catch (error) {
      setFailure(asFailure(error));
    }
    setBusy(false);
  };
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={onClose} onInput={repeat && readSoon}>
      <h2 id={id}>{title}</h2>
      <CheckedForm
        title={failed}
        failure={failure}
        onSubmit={(event) => void send(event)}
        actions={
          <>
            {repeat && typed && <CopyAs {...repeat(typed)} />}
            <button type="button" onClick={() => dialog.current?.close()}>
              {cancel}
            </button>
            <button type="submit" ref={button} class={danger ? "danger" : "primary"} disabled={busy}>
              {action}
            </button>
          </>
        }
      >
        {children}
      </CheckedForm>
    </dialog>
  );
}

export function textOf(form: FormData, name: string): string {
  const value = form.get(name);
  return typeof value === "string" ? value.trim() : "";
}

/** Null for a field that is empty. */
export function numberOf(form: FormData, name: string): number | null {
  const text = textOf(form, name);
  return text === "" ? null : Number(text);
}
