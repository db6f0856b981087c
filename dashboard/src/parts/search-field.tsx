/** A field that narrows a list by what is typed: "/" leads to it, and what was searched for before is in it. */
import { useEffect, useRef } from "preact/hooks";
import { useShortcuts } from "../keys.ts";
import { useTyped } from "./typed.ts";

interface SearchFieldProps {
  readonly label: string;
  /** What "/" does, in the list of keys. */
  readonly does: string;
  readonly text: string;
  readonly onText: (text: string) => void;
}

export function SearchField({ label, does, text, onText }: SearchFieldProps) {
  const field = useRef<HTMLInputElement>(null);
  const search = useTyped((typed) => onText(typed.trim()));
  useShortcuts([{ keys: "/", does, run: () => field.current?.focus() }]);
  // Another search came by a button or by going back, and nobody is typing.
  useEffect(() => {
    if (field.current && field.current !== document.activeElement) field.current.value = text;
  }, [text]);
  return (
    <label class="wide">
      <span class="hidden">{label}</span>
      <input
        ref={field}
        type="search"
        placeholder={`${label}  /`}
        defaultValue={text}
        onInput={({ currentTarget: { value } }) => search(value)}
      />
    </label>
  );
}
