import type { SummaryFragment } from "../api/operations.ts";
import { formatInteger } from "../format.ts";

const words: Record<SummaryFragment["status"], string> = {
  QUEUED: "Queued",
  RUNNING: "Running",
  PAUSED: "Paused",
  SUCCEEDED: "Succeeded",
  FAILED: "Failed",
  CANCELLED: "Cancelled",
};

export const isFinal = (status: SummaryFragment["status"]) =>
  status === "SUCCEEDED" || status === "FAILED" || status === "CANCELLED";

/** The status in words; the colour only repeats it. */
export function Status({ run }: { run: Pick<SummaryFragment, "status" | "cancelRequested" | "pauseRequested"> }) {
  const stopping = run.status === "RUNNING" && (run.cancelRequested ? "Stopping" : run.pauseRequested && "Pausing");
  return <span class={`status ${run.status.toLowerCase()}`}>{stopping || words[run.status]}</span>;
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
