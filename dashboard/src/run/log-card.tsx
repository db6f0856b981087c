/** The log as it grows: how small the whole run is, and what its last pairs are. */
import { formatBytes, formatInteger } from "../format.ts";
import { copy } from "../parts/copy.ts";
import { Download } from "./download.tsx";
import type { Run } from "./run-state.ts";

export function LogCard({ run }: { run: Run }) {
  const { entries, bytes, chainHash, lastPairs } = run.log;
  const times = Math.round(run.baseModel.bytes / Math.max(1, bytes));
  if (chainHash === null)
    return (
      <section class="card">
        <h2>The log</h2>
        <p class="muted">It begins with the first step: two bytes for each estimate.</p>
      </section>
    );
  return (
    <section class="card">
      <div class="toolbar">
        <h2>The log</h2>
        {run.logUrl !== null && <Download url={run.logUrl} name={`${run.name}.steplog`} />}
      </div>
      <p>
        {formatBytes(bytes)} for {formatInteger(entries)} pairs
        {times >= 2 && <>, {formatInteger(times)} times smaller than the base model</>}. With the base model it gives
        the weights, bit for bit.
      </p>
      <table aria-label="The last pairs of the log">
        <thead>
          <tr>
            <th scope="col">Pair</th>
            <th scope="col" class="number">
              Seed
            </th>
            <th scope="col" class="number">
              Scalar
            </th>
          </tr>
        </thead>
        <tbody>
          {lastPairs.toReversed().map(({ entry, seed, scalar }) => (
            <tr key={entry}>
              <th scope="row">{formatInteger(entry)}</th>
              <td class="number">{seed}</td>
              <td class="number">{scalar.toPrecision(3)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="hash">
        Chain hash <code title={chainHash}>{chainHash.slice(0, 16)}…</code>{" "}
        <button type="button" class="quiet" aria-label="Copy the chain hash" onClick={() => void copy(chainHash)}>
          Copy
        </button>
      </p>
    </section>
  );
}
