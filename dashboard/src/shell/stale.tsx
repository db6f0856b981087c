/** Says that what is shown is old. The page goes on by itself. */
import { useEffect } from "preact/hooks";
import { lostSince } from "../api/connection.ts";
import { keepListening } from "../api/query.ts";
import { formatClock } from "../format.ts";

export function Stale() {
  const since = lostSince.value;
  useEffect(keepListening, []);
  return (
    <div role="status" class={since === null ? "hidden" : "stale"}>
      {since !== null &&
        `Not connected since ${formatClock(since.toISOString())}. What you see may be old; the page catches up by itself.`}
    </div>
  );
}
