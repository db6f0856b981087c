/** Asks before something that cannot be taken back, and shows why it did not happen. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { asFailure, type Failure } from "../api/failure.ts";
import { CopyAs, type Repeat } from "./copy-as.tsx";
import { Problem } from "./problem.tsx";

interface ConfirmProps {
  /** A question, such as "Delete “spam”?" */
  readonly title: string;
  /** What will be lost, and what stays. */
  readonly children: ComponentChildren;
  /** The deed, as its button names it. */
  readonly action: string;
  readonly danger?: boolean;
  /** What is copied of it, unless nothing can be. */
  readonly repeat?: Repeat;
  readonly onConfirm: () => Promise<unknown>;
  readonly onClose: () => void;
}

/** Open as long as it is rendered. */
export function Confirm({ title, children, action, danger = false, repeat, onConfirm, onClose }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  const keep = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
    keep.current?.focus();
  }, []);
  const confirm = async () => {
    setBusy(true);
    try {
      await onConfirm();
      dialog.current?.close();
    } catch (error) {
      setFailure(asFailure(error));
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={onClose}>
      <h2 id={id}>{title}</h2>
      {children}
      {failure && <Problem title="That did not work" failure={failure} />}
      <div class="actions">
        {repeat && <CopyAs {...repeat} />}
        <button type="button" ref={keep} onClick={() => dialog.current?.close()}>
          Keep it as it is
        </button>
        <button type="button" class={danger ? "danger" : "primary"} disabled={busy} onClick={() => void confirm()}>
          {action}
        </button>
      </div>
    </dialog>
  );
}
