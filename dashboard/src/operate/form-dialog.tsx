/** A form over the page. What is typed stays when an attempt fails. Open as long as it is rendered. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { asFailure, type Failure } from "../api/failure.ts";
import type { Operation } from "../../../client/operation.ts";
import { CopyAs } from "../parts/copy-as.tsx";
import { CheckedForm } from "../parts/form/checked-form.tsx";

/** The deed, as a program can repeat it. */
export interface Repeat {
  readonly what: string;
  readonly operation: Operation<unknown, never>;
  readonly variables: object;
  readonly command?: string | undefined;
}

interface FormDialogProps {
  readonly title: string;
  /** The deed, as its button names it. */
  readonly action: string;
  readonly danger?: boolean;
  readonly onSend: (form: FormData) => Promise<unknown>;
  /** What is copied of it, from what is typed so far. */
  readonly repeat?: (form: FormData) => Repeat;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}

export function FormDialog({ title, action, danger = false, onSend, repeat, onClose, children }: FormDialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [typed, setTyped] = useState<FormData | null>(null);
  const read = () => {
    const form = dialog.current?.querySelector("form");
    if (form) setTyped(new FormData(form));
  };
  useEffect(() => {
    dialog.current?.showModal();
    if (repeat) read();
  }, []);
  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    if (!(event.currentTarget instanceof HTMLFormElement)) return;
    const form = new FormData(event.currentTarget);
    setBusy(true);
    setFailure(null);
    try {
      await onSend(form);
      dialog.current?.close();
    } catch (error) {
      setFailure(asFailure(error));
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={onClose} onInput={repeat && read}>
      <h2 id={id}>{title}</h2>
      <CheckedForm
        title="It did not happen"
        failure={failure}
        onSubmit={(event) => void send(event)}
        actions={
          <>
            {repeat && typed && <CopyAs {...repeat(typed)} />}
            <button type="button" onClick={() => dialog.current?.close()}>
              Cancel
            </button>
            <button type="submit" class={danger ? "danger" : "primary"} disabled={busy}>
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
