/** The list of keyboard shortcuts, opened by "?". */
import { useRef } from "preact/hooks";
import { shortcuts, useShortcuts } from "../keys.ts";

export function Keys() {
  const dialog = useRef<HTMLDialogElement>(null);
  useShortcuts([{ keys: "?", does: "Show these keys", run: () => dialog.current?.showModal() }]);
  return (
    <dialog ref={dialog} aria-labelledby="keys-title">
      <h2 id="keys-title">Keys</h2>
      <dl class="pairs">
        {shortcuts.value.map(({ keys, does }) => (
          <div key={`${keys} ${does}`}>
            <dt>
              {keys.split(" ").map((one) => (
                <kbd key={one}>{one}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <div class="actions">
        <button type="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </div>
    </dialog>
  );
}
