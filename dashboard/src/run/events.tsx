/** The history of a run, latest first; what went wrong stands out. */
import { formatClock, formatTime } from "../format.ts";
import type { RunEvent } from "./run-state.ts";

const bad = new Set(["FAILED", "DIVERGED"]);
const notable = new Set(["HARDLY_MOVED", "OVERFITTED", "WENT_BACK", "CANCELLED"]);

export function Events({ events }: { events: readonly RunEvent[] }) {
  return (
    <section class="card">
      <h2>Time line</h2>
      {events.length === 0 && <p class="muted">Nothing has happened yet.</p>}
      <ol class="events" aria-live="polite" tabIndex={0}>
        {events.toReversed().map(({ sequence, at, type, message }) => (
          <li key={sequence} class={bad.has(type) ? "bad" : notable.has(type) ? "notable" : ""}>
            <time dateTime={at} title={formatTime(at)}>
              {formatClock(at)}
            </time>
            <span>{message}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}
