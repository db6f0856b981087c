/** The history of a run, latest first; what went wrong stands out. */
import { adviceFor } from "../../../schema/advice.ts";
import { formatMoment, formatSentence, formatTime } from "../format.ts";
import type { Run, RunEvent } from "./run-state.ts";

const bad = new Set(["FAILED", "DIVERGED"]);
const notable = new Set(["HARDLY_MOVED", "OVERFITTED", "WENT_BACK", "CANCELLED"]);

interface EventsProps {
  readonly run: Run;
  readonly events: readonly RunEvent[];
}

export function Events({ run, events }: EventsProps) {
  return (
    <section class="card">
      <h2>Time line</h2>
      {events.length === 0 && <p class="muted">Nothing has happened yet.</p>}
      <ol class="events" aria-live="polite" tabIndex={0}>
        {events.toReversed().map(({ sequence, at, type, message }) => (
          <li key={sequence} class={bad.has(type) ? "bad" : notable.has(type) ? "notable" : ""}>
            <time dateTime={at} title={formatTime(at)}>
              {formatMoment(at)}
            </time>
            <span>
              {formatSentence(message)}
              {type === "FAILED" && <WhatToDo run={run} />}
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}

/** The lines that are wrong, unless the message names them, and what to try. */
function WhatToDo({ run: { error } }: { run: Run }) {
  if (!error) return null;
  const advice = adviceFor(error.code);
  const issues = error.issues.filter(({ message }) => !error.message.includes(message));
  return (
    <>
      {issues.map(({ line, field, message }) => (
        <span key={`${line} ${field} ${message}`}>
          {" "}
          {line == null ? "" : `Line ${line}: `}
          {field ?? ""} {message}
        </span>
      ))}
      {advice && ` ${advice.words}.`}
    </>
  );
}
