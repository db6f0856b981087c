import type { FineTuneStatus } from "../../../client/schema-types.ts";
import { formatInteger } from "../format.ts";

export const statusWords: Record<FineTuneStatus, string> = {
  QUEUED: "Queued",
  RUNNING: "Running",
  PAUSED: "Paused",
  SUCCEEDED: "Succeeded",
  FAILED: "Failed",
  CANCELLED: "Cancelled",
};

export const isFinal = (status: FineTuneStatus) =>
  status === "SUCCEEDED" || status === "FAILED" || status === "CANCELLED";

interface Stated {
  readonly status: FineTuneStatus;
  readonly cancelRequested: boolean;
  readonly pauseRequested: boolean;
}

interface Progressing {
  readonly name: string;
  readonly progress: { readonly step: number; readonly steps: number; readonly fraction: number };
}

/** The status in words; the colour only repeats it. */
export function Status({ run }: { run: Stated }) {
  const stopping = run.status === "RUNNING" && (run.cancelRequested ? "Stopping" : run.pauseRequested && "Pausing");
  return <span class={`status ${run.status.toLowerCase()}`}>{stopping || statusWords[run.status]}</span>;
}

export function Progress({ run }: { run: Progressing }) {
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
