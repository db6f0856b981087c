import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { useFieldError } from "./checked-form.tsx";

/** What a control needs to belong to its label, its error and its form. */
interface Shared {
  readonly id: string;
  readonly name: string;
  readonly "aria-invalid"?: boolean;
  readonly "aria-describedby"?: string;
}

interface FieldProps {
  readonly label: string;
  readonly name: string;
  /** What it is for, below it. */
  readonly help?: string;
  readonly children: (shared: Shared) => ComponentChildren;
}

/** A control with its label and, after an attempt that failed, what is wrong with it. */
export function Field({ label, name, help, children }: FieldProps) {
  const id = useId();
  const { attributes, error } = useFieldError(name, help === undefined ? undefined : `${id}-help`);
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, name, ...attributes })}
      {error}
      {help !== undefined && <small id={`${id}-help`}>{help}</small>}
    </div>
  );
}
