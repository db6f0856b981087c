/** How a model is added: the command to run where a worker is. The page itself loads nothing from the hub. */
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { copy, quoted } from "../parts/copy-as.tsx";

const example = "facebook/opt-125m";

export function AddModel({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const title = useId();
  const [repository, setRepository] = useState("");
  useEffect(() => dialog.current?.showModal(), []);
  const command = `npx steplog model add ${wordOf(repository.trim() || example)}`;
  return (
    <dialog ref={dialog} aria-labelledby={title} onClose={onClose}>
      <h2 id={title}>Add a model</h2>
      <p>
        Models are downloaded on the machine of a worker, which needs the room for them. Run this there; the worker
        finds the model within seconds, and it can then be registered on this page.
      </p>
      <label>
        Repository on the Hugging Face hub, or a folder
        <input
          placeholder={example}
          value={repository}
          spellcheck={false}
          onInput={({ currentTarget }) => setRepository(currentTarget.value)}
        />
      </label>
      <pre class="command">{command}</pre>
      <div class="actions">
        <button type="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
        <button type="button" class="primary" onClick={() => void copy(command)}>
          Copy the command
        </button>
      </div>
    </dialog>
  );
}

const wordOf = (text: string) => (/^[\w./@:-]+$/u.test(text) ? text : quoted(text));
