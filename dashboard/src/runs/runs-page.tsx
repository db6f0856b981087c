/** All fine-tunes, newest first, refreshed every few seconds while the page is visible. */
import { useEffect, useState } from "preact/hooks";
import { client } from "../api/client.ts";
import { pause } from "../../../client/pause.ts";
import { fineTunes, type ListedRunFragment } from "./operations.ts";
import { formatLoss, formatTime } from "../format.ts";
import { asFailure, type Failure } from "../api/failure.ts";
import { Problem } from "../parts/problem.tsx";
import { Progress, Status } from "../parts/status.tsx";
import { at, runPath } from "../base.ts";

const refreshMs = 2_000;

interface Listing {
  readonly runs: readonly ListedRunFragment[];
  /** Cursor of the next page; null if there is none. */
  readonly next: string | null;
}

export function RunsPage() {
  const [page, setPage] = useState<Listing | null>(null);
  const [older, setOlder] = useState<Listing | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);

  useEffect(() => {
    document.title = "Fine-tunes · Steplog";
    const abort = new AbortController();
    void refresh(abort.signal, setPage, setFailure);
    return () => abort.abort();
  }, []);

  const next = older ? older.next : (page?.next ?? null);
  const more = async () => {
    try {
      const { runs, next: after } = await read(next);
      setOlder((shown) => ({ runs: [...(shown?.runs ?? []), ...runs], next: after }));
    } catch (error) {
      setFailure(asFailure(error));
    }
  };
  const runs = unique([...(page?.runs ?? []), ...(older?.runs ?? [])]);
  return (
    <>
      <div class="title">
        <h1>Fine-tunes</h1>
        <a href={at("/new")} class="button primary">
          New fine-tune
        </a>
      </div>
      {failure && <Problem title="Cannot load the fine-tunes" failure={failure} />}
      {page === null && failure === null && <p class="muted">Loading…</p>}
      {page !== null && runs.length === 0 && (
        <div class="empty card">
          <p>There are no fine-tunes yet. All you need is a dataset of prompts and completions.</p>
          <p>
            <a href={at("/new")}>New fine-tune</a> · <a href={at("/graphql")}>Use the API</a>
          </p>
        </div>
      )}
      {runs.length > 0 && <RunTable runs={runs} />}
      {next !== null && (
        <button type="button" onClick={() => void more()}>
          Show older
        </button>
      )}
    </>
  );
}

async function read(after: string | null): Promise<Listing> {
  const { fineTunes: found } = await client.query(fineTunes, { after });
  return { runs: found.nodes, next: found.pageInfo.hasNextPage ? found.pageInfo.endCursor : null };
}

async function refresh(
  signal: AbortSignal,
  onPage: (page: Listing) => void,
  onFailure: (failure: Failure | null) => void,
) {
  while (!signal.aborted) {
    if (!document.hidden) {
      try {
        onPage(await read(null));
        onFailure(null);
      } catch (error) {
        onFailure(asFailure(error));
      }
    }
    await pause(refreshMs, signal);
  }
}

/** A run moves from the first page to an older one when new runs are created. */
const unique = (runs: readonly ListedRunFragment[]) =>
  [...new Map(runs.toReversed().map((run) => [run.id, run])).values()].toReversed();

function RunTable({ runs }: { runs: readonly ListedRunFragment[] }) {
  return (
    <table class="runs stacking card">
      <thead>
        <tr>
          <th scope="col">Name</th>
          <th scope="col">Status</th>
          <th scope="col">Base model</th>
          <th scope="col">Steps</th>
          <th scope="col" class="number">
            Loss
          </th>
          <th scope="col">Created</th>
        </tr>
      </thead>
      <tbody>
        {runs.map((run) => (
          <tr key={run.id}>
            <th scope="row">
              <a href={runPath(run.id)}>{run.name}</a>
            </th>
            <td data-label="Status">
              <Status run={run} />
            </td>
            <td data-label="Base model" class="long">
              {run.baseModel.name}
            </td>
            <td data-label="Steps">
              <Progress run={run} />
            </td>
            <td data-label="Loss" class="number">
              {formatLoss(run.loss)}
            </td>
            <td data-label="Created">{formatTime(run.createdAt)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
