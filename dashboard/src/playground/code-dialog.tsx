/** The code of exactly the request that Send makes now, to one of the models. */
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { copy } from "../parts/copy.ts";
import { codesOf } from "./code.ts";
import type { Asked } from "./answers.ts";
import type { PlayedModel } from "./models.ts";

interface CodeDialogProps {
  readonly models: readonly PlayedModel[];
  readonly requestOf: (model: PlayedModel) => Asked;
  readonly onClose: () => void;
}

/** Open as long as it is rendered. */
export function CodeDialog({ models, requestOf, onClose }: CodeDialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const [key, setKey] = useState(models[0]?.key);
  const [shown, setShown] = useState("GraphQL");
  useEffect(() => dialog.current?.showModal(), []);
  const model = models.find((one) => one.key === key);
  const asked = model && requestOf(model);
  const codes = asked ? codesOf(asked, model.base) : [];
  const code = codes.find(({ name }) => name === shown) ?? codes[0];
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={onClose} class="code">
      <h2 id={id}>This request as code</h2>
      <div class="code-choices">
        {models.length > 1 && (
          <select aria-label="Model" value={key} onChange={({ currentTarget }) => setKey(currentTarget.value)}>
            {models.map((one) => (
              <option key={one.key} value={one.key}>
                {one.label}
              </option>
            ))}
          </select>
        )}
        <div class="segments" role="group" aria-label="Language">
          {codes.map(({ name }) => (
            <button key={name} type="button" aria-pressed={name === code?.name} onClick={() => setShown(name)}>
              {name}
            </button>
          ))}
        </div>
      </div>
      <pre tabIndex={0} aria-label={code?.name}>
        {code?.text}
      </pre>
      {asked?.kind === "CHOOSE" && (
        <p class="muted">
          The OpenAI protocol has no request that chooses among labels.{" "}
          {codes.some(({ name }) => name === "Python")
            ? "By its client, each label is scored after your text, and the likeliest is taken: the same choice, where labels begin with a space."
            : "Its client cannot score labels by a model that fills gaps in a text."}
        </p>
      )}
      <p class="muted">Programs read the API key from the environment, as STEPLOG_API_TOKEN. It is not in this code.</p>
      <div class="actions">
        <button type="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
        <button type="button" class="primary" disabled={!code} onClick={() => void copy(code?.text ?? "")}>
          Copy
        </button>
      </div>
    </dialog>
  );
}
