/** Every letter is not a question: a search is made when somebody has stopped typing. */
import { useEffect, useRef } from "preact/hooks";

const typingMs = 250;

/** What was typed last is searched for after a moment, unless the field has gone by then: its page was left. */
export function useTyped(search: (text: string) => void): (text: string) => void {
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  // What else was chosen meanwhile is in the newest.
  const newest = useRef(search);
  newest.current = search;
  useEffect(() => () => clearTimeout(timer.current), []);
  return (text) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => newest.current(text), typingMs);
  };
}
