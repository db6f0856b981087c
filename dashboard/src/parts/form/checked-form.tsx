/**
 * A form whose errors are shown at their fields; what belongs to no field is shown above the buttons. When an attempt fails,
 * focus moves to the first wrong field.
 */
import { createContext, type ComponentChildren } from "preact";
import { useContext, useEffect, useId, useRef, useState } from "preact/hooks";
import { placeIssues } from "./field-errors.ts";
import type { Failure } from "../../api/failure.ts";
import { Problem } from "../problem.tsx";

const Errors = createContext<ReadonlyMap<string, string>>(new Map());

interface FormProps {
  /** What did not happen, as the title of an error. */
  readonly title: string;
  readonly failure: Failure | null;
  /** The text that line numbers of issues refer to. */
  readonly text?: string | undefined;
  /** Counts attempts, where errors are also shown while somebody types: focus moves after an attempt only. */
  readonly attempts?: number;
  readonly onSubmit: (event: SubmitEvent) => void;
  readonly children: ComponentChildren;
  /** The buttons. */
  readonly actions: ComponentChildren;
}

export function CheckedForm({ title, failure, text, attempts, onSubmit, children, actions }: FormProps) {
  const form = useRef<HTMLFormElement>(null);
  const focused = useRef(0);
  const [names, setNames] = useState<ReadonlySet<string>>(new Set());
  const { fields, rest } = placeIssues(failure?.issues ?? [], names);
  useEffect(() => {
    const controls = [...(form.current?.querySelectorAll("[name]") ?? [])];
    setNames(new Set(failure ? controls.map((control) => control.getAttribute("name") ?? "") : []));
  }, [failure]);
  // After the errors are at their fields.
  useEffect(() => {
    const wrong = form.current?.querySelector<HTMLElement>("[aria-invalid]");
    unfold(wrong);
    if (!wrong || attempts === focused.current) return;
    focused.current = attempts ?? 0;
    wrong.focus();
  }, [names, attempts]);
  return (
    <form
      ref={form}
      onSubmit={onSubmit}
      noValidate={attempts !== undefined}
      // A browser says nothing of what is wrong where it is folded away, and sends nothing.
      onInvalidCapture={({ target }) => unfold(target)}
    >
      <Errors.Provider value={fields}>{children}</Errors.Provider>
      {failure && fields.size === 0 && <Problem title={title} failure={failure} text={text} />}
      {failure && fields.size > 0 && (
        <Problem title={title} failure={{ code: failure.code, message: "See the marked fields.", issues: rest }} />
      )}
      <div class="actions">{actions}</div>
    </form>
  );
}

function unfold(field: unknown): void {
  if (field instanceof HTMLElement) field.closest("details")?.setAttribute("open", "");
}

/** What is wrong with a field, and the attributes that tell so to a screen reader. */
export function useFieldError(name: string, helpId?: string) {
  const message = useContext(Errors).get(name);
  const id = useId();
  if (message === undefined)
    return { attributes: helpId === undefined ? {} : { "aria-describedby": helpId }, error: null };
  const attributes = { "aria-invalid": true, "aria-describedby": [id, helpId].filter(Boolean).join(" ") };
  return {
    attributes,
    error: (
      <small id={id} class="bad">
        {message}
      </small>
    ),
  };
}
