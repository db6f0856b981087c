/** A secret that the service shows once. It goes away only when its reader says that it is kept. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { copy } from "../parts/copy.ts";

interface SecretProps {
  readonly title: string;
  readonly name: string;
  readonly secret: string;
  readonly children: ComponentChildren;
  readonly onClose: () => void;
}

export function Secret({ title, name, secret, children, onClose }: SecretProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} aria-labelledby={id} onCancel={(event) => event.preventDefault()} onClose={onClose}>
      <h2 id={id}>{title}</h2>
      <div class="secret">
        <label>
          {name}
          <input class="code" readOnly value={secret} onFocus={({ currentTarget }) => currentTarget.select()} />
        </label>
        <button type="button" class="primary" onClick={() => void copy(secret)}>
          Copy
        </button>
      </div>
      {children}
      <div class="actions">
        <button type="button" onClick={() => dialog.current?.close()}>
          I have kept it
        </button>
      </div>
    </dialog>
  );
}
