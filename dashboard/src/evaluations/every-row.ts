/** What came of every row that is kept of an evaluation. They are read page by page, so that what counts them counts all. */
import { useEffect, useState } from "preact/hooks";
import { asFailure, type Failure } from "../api/failure.ts";
import { useAttempts } from "../api/query.ts";

/** As many as the queries ask for at once. */
const pageSize = 100;

export interface EveryRow<Row> {
  /** Those that have come so far. */
  readonly rows: readonly Row[];
  readonly all: boolean;
  readonly failure: Failure | null;
}

/**
 * @param of what they are rows of: when it changes, they are read anew
 * @param read the rows after one; -1 is before the first
 */
export function useEveryRow<Row extends { readonly row: number }>(
  of: string,
  read: (from: number) => Promise<readonly Row[]>,
): EveryRow<Row> {
  const nothing = { of, rows: [], all: false, failure: null };
  const [known, setKnown] = useState<EveryRow<Row> & { readonly of: string }>(nothing);
  const attempts = useAttempts(known.failure);
  useEffect(() => {
    const leaving = new AbortController();
    const { signal } = leaving;
    const put = (next: EveryRow<Row>) => signal.aborted || setKnown({ of, ...next });
    const go = async () => {
      const rows: Row[] = known.of === of ? [...known.rows] : [];
      try {
        for (let all = false; !all && !signal.aborted;) {
          const page = await read(rows.at(-1)?.row ?? -1);
          rows.push(...page);
          all = page.length < pageSize;
          put({ rows: [...rows], all, failure: null });
        }
      } catch (error) {
        put({ rows, all: false, failure: asFailure(error) });
      }
    };
    void go();
    return () => leaving.abort();
  }, [of, attempts]);
  return known.of === of ? known : nothing;
}
