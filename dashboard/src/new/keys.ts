/** Keys that make a request safe to repeat: after a lost answer, a second press of the button finds what the first one made. */
import { useRef } from "preact/hooks";
import { randomKey } from "../random.ts";

/** One key for each content: another content is another request. */
export function useIdempotencyKey(): (content: string) => string {
  const last = useRef({ content: "", key: "" });
  return (content) => {
    if (last.current.key === "" || last.current.content !== content) last.current = { content, key: randomKey() };
    return last.current.key;
  };
}
