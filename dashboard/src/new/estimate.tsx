/** What a run would take, before it is created. */
import { formatBytes, formatCounted, formatDuration } from "../format.ts";
import type { Estimated, FineTuneEstimate } from "./use-estimate.ts";

export function Estimate({ estimate, failure, busy }: Estimated) {
  return (
    <section aria-label="Estimate" aria-busy={busy} class="estimate">
      <h3>
        Estimate{" "}
        <small class="muted" role="status">
          {busy ? "Estimating…" : ""}
        </small>
      </h3>
      {estimate && (estimate.counts || !failure) ? (
        <Figures {...estimate} />
      ) : (
        <p class="muted">{busy ? "" : "The estimate comes once everything is filled in."}</p>
      )}
    </section>
  );
}

function Figures({ counts, uncounted, memoryBytes, storedWeightsBytes, workers }: FineTuneEstimate) {
  const seconds = workers.flatMap((one) => one.seconds?.total ?? []);
  return (
    <>
      {uncounted !== null && <p class="muted">Not counted: {uncounted}</p>}
      <dl class="figures">
        {seconds.length > 0 && (
          <Figure title="Time, on the fastest worker" value={formatDuration(Math.min(...seconds))} />
        )}
        {counts && <Figure title="Training rows" value={formatCounted(counts.training.tokens, "token")} />}
        {counts && <Work {...counts} />}
        {counts && <Figure title="Log" value={formatBytes(counts.logBytes)} />}
        {memoryBytes !== null && <Figure title="Memory, at least" value={formatBytes(memoryBytes)} />}
        {Boolean(storedWeightsBytes) && <Figure title="Stored weights" value={formatBytes(storedWeightsBytes ?? 0)} />}
      </dl>
      {counts?.why != null && <p class="muted">Passes and tokens are not exact: {counts.why}.</p>}
      {workers.length === 0 && <p class="muted">No worker is running.</p>}
      <ul class="plain">
        {workers.map(({ worker, lacks, seconds, unmeasured }) => (
          <li key={worker.name}>
            {worker.name} ({formatBytes(worker.memoryBytes)} of memory):{" "}
            {lacks.length > 0
              ? `cannot train it; it lacks ${lacks.join(", ")}`
              : seconds
                ? formatDuration(seconds.total)
                : `time not known. ${unmeasured ?? ""}`}
          </li>
        ))}
      </ul>
    </>
  );
}

function Work({ steps, probes, evaluations }: NonNullable<FineTuneEstimate["counts"]>) {
  const all = [steps, probes, ...evaluations];
  const sum = (name: "passes" | "tokens") => all.reduce((total, one) => total + one[name], 0);
  return (
    <>
      <Figure title="Forward passes" value={formatCounted(sum("passes"), "pass", "passes")} />
      <Figure title="They read" value={formatCounted(sum("tokens"), "token")} />
    </>
  );
}

function Figure({ title, value }: { readonly title: string; readonly value: string }) {
  return (
    <div>
      <dt>{title}</dt>
      <dd>{value}</dd>
    </div>
  );
}
