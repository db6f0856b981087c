/** What a run would take, before it is created. */
import type { EstimateFineTuneQuery } from "./operations.ts";
import { formatBytes, formatCounted, formatDuration } from "../format.ts";
import type { Failure } from "../api/failure.ts";

type FineTuneEstimate = EstimateFineTuneQuery["estimateFineTune"];

/** All that would be refused as one failure, so that a form shows each issue at its field; null if nothing would be. */
export function refusalOf({ errors }: FineTuneEstimate): Failure | null {
  const [first] = errors;
  if (!first) return null;
  const issues = errors.flatMap(({ message, argument, issues: own }) =>
    own.length > 0 ? own : [{ line: null, field: argument, message }],
  );
  return { code: first.code, message: errors.map(({ message }) => message).join(" "), issues };
}

export function Estimate({ estimate }: { readonly estimate: FineTuneEstimate }) {
  const { counts, uncounted, memoryBytes, storedWeightsBytes, workers } = estimate;
  return (
    <section aria-label="Estimate" aria-live="polite">
      {uncounted !== null && <p class="muted">Not counted: {uncounted}</p>}
      <dl class="figures">
        {counts && <Figure title="Training rows" value={formatCounted(counts.training.tokens, "token")} />}
        {counts && <Work {...counts} />}
        {counts && <Figure title="Log" value={formatBytes(counts.logBytes)} />}
        {memoryBytes !== null && <Figure title="Memory, at least" value={formatBytes(memoryBytes)} />}
        {Boolean(storedWeightsBytes) && <Figure title="Stored weights" value={formatBytes(storedWeightsBytes ?? 0)} />}
      </dl>
      {counts?.why != null && <p class="muted">Passes and tokens are not exact: {counts.why}.</p>}
      {workers.length === 0 && <p class="muted">No worker is running.</p>}
      <ul>
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
    </section>
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
