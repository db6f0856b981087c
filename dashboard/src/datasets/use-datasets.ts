/** The list of datasets, read page by page; what was read stays while more is. */
import { useEffect, useRef, useState } from "preact/hooks";
import { asFailure, type Failure } from "../api/failure.ts";
import { ask, useAgain } from "../api/query.ts";
import { datasets, type DatasetsQuery } from "./operations.ts";

export type ListedDataset = DatasetsQuery["datasets"]["nodes"][number];

interface Listed {
  readonly rows: readonly ListedDataset[];
  /** Null before the first answer. */
  readonly total: number | null;
  readonly after: string | null;
}

export interface DatasetList extends Listed {
  readonly failure: Failure | null;
  readonly reload: () => Promise<void>;
  readonly readMore: () => Promise<void>;
}

/** As the service has it. */
const pageSize = 50;
const nothing: Listed = { rows: [], total: null, after: null };

export function useDatasets(search: string): DatasetList {
  const [list, setList] = useState<Listed>(nothing);
  const [failure, setFailure] = useState<Failure | null>(null);
  /** An answer to an older search comes too late. */
  const newest = useRef(0);
  const read = async (after: string | null) => {
    const mine = (newest.current += 1);
    try {
      const answer = await ask(datasets, { name: search === "" ? null : search, after });
      if (mine !== newest.current) return;
      const { nodes, totalCount, pageInfo } = answer.datasets;
      const before = after === null ? [] : list.rows;
      setList({
        rows: [...before, ...nodes],
        total: totalCount,
        after: pageInfo.hasNextPage ? pageInfo.endCursor : null,
      });
      setFailure(null);
    } catch (error) {
      if (mine === newest.current) setFailure(asFailure(error));
    }
  };
  useEffect(() => void read(null), [search]);
  // What somebody has read further stays, unless it could not be read.
  useAgain(failure, () => (failure !== null || list.rows.length <= pageSize) && void read(null));
  return { ...list, failure, reload: () => read(null), readMore: () => read(list.after) };
}
