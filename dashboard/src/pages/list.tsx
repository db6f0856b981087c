/** All fine-tunes, newest first, refreshed every few seconds while the page is visible. */
import { useEffect, useState } from "preact/hooks";
import { client } from "../api/client.ts";
import { pause } from "../../../client/pause.ts";
import { fineTunes, type SummaryFragment } from "../api/operations.ts";
import { formatLoss, formatTime } from "../format.ts";
import { Link } from "../parts/link.tsx";
import { asFailure, Problem, type Failure } from "../parts/problem.tsx";
import { Progress, Status } from "../parts/status.tsx";
import { runPath } from "../route.ts";

const refreshMs = 2_000;

interface Listing {
  readonly runs: readonly SummaryFragment[];
  /** Cursor of the next page; null if there is none. */
  readonly next: string | null;
}

export function ListPage() {
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
        <Link href="/new" class="button primary">
          New fine-tune
        </Link>
      </div>
      {failure && <Problem title="Cannot load the fine-tunes" failure={failure} />}
      {page === null && failure === null && <p class="muted">Loading…</p>}
      {page !== null && runs.length === 0 && (
        <div class="empty card">
          <p>There are no fine-tunes yet. All you need is a dataset of prompts and completions.</p>
          <p>
            <Link href="/new">New fine-tune</Link> · <a href="/graphql">Use the API</a>
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
const unique = (runs: readonly SummaryFragment[]) =>
  [...new Map(runs.toReversed().map((run) => [run.id, run])).values()].toReversed();

function RunTable({ runs }: { runs: readonly SummaryFragment[] }) {
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
              <Link href={runPath(run.id)}>{run.name}</Link>
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
