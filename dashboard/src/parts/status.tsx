import type { SummaryFragment } from "../api/operations.ts";
import { formatInteger } from "../format.ts";

const words: Record<SummaryFragment["status"], string> = {
  QUEUED: "Queued",
  RUNNING: "Running",
  SUCCEEDED: "Succeeded",
  FAILED: "Failed",
  CANCELLED: "Cancelled",
};

export const isFinal = (status: SummaryFragment["status"]) => status !== "QUEUED" && status !== "RUNNING";

/** The status in words; the colour only repeats it. */
export function Status({ run }: { run: Pick<SummaryFragment, "status" | "cancelRequested"> }) {
  const stopping = run.status === "RUNNING" && run.cancelRequested;
  return <span class={`status ${run.status.toLowerCase()}`}>{stopping ? "Stopping" : words[run.status]}</span>;
}

export function Progress({ run }: { run: Pick<SummaryFragment, "progress" | "name"> }) {
  const { step, steps, fraction } = run.progress;
  return (
    <div class="progress">
      <progress max={steps} value={step} aria-label={`Steps of ${run.name}`}>
        {Math.round(fraction * 100)}%
      </progress>
      <span>
        {formatInteger(step)} / {formatInteger(steps)}
      </span>
    </div>
  );
}
