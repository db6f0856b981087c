/** The projects that the viewer may see, and which one a page is about: in the address, else the own one. */
import { useLocation } from "preact-iso";
import { useEffect, useState } from "preact/hooks";
import { asFailure, type Failure } from "../api/failure.ts";
import { ask, useAgain } from "../api/query.ts";
import { listedProjects, type ListedProjectsQuery } from "./operations.ts";

export type ListedProject = ListedProjectsQuery["projects"]["nodes"][number];

const pageSize = 100;

/** All of them: an operator chooses one by its name. */
export function useProjects(): {
  readonly projects: readonly ListedProject[] | null;
  readonly failure: Failure | null;
  readonly reload: () => void;
} {
  const [projects, setProjects] = useState<readonly ListedProject[] | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [round, setRound] = useState(0);
  useEffect(() => {
    let over = false;
    everyProject().then(
      (all) => !over && (setProjects(all), setFailure(null)),
      (error: unknown) => !over && setFailure(asFailure(error)),
    );
    return () => {
      over = true;
    };
  }, [round]);
  const reload = () => setRound((before) => before + 1);
  useAgain(failure, reload);
  return { projects, failure, reload };
}

async function everyProject(): Promise<ListedProject[]> {
  const all: ListedProject[] = [];
  let after: string | null = null;
  do {
    const { projects }: ListedProjectsQuery = await ask(listedProjects, { first: pageSize, after });
    all.push(...projects.nodes);
    after = projects.pageInfo.hasNextPage ? (projects.pageInfo.endCursor ?? null) : null;
  } while (after !== null);
  return all;
}

/** The words after "?" of the address; what is empty is left out. */
export function useAddress(): {
  readonly query: Readonly<Record<string, string>>;
  readonly set: (change: Readonly<Record<string, string>>, how?: "push" | "replace") => void;
} {
  const { path, query, route } = useLocation();
  const set = (change: Readonly<Record<string, string>>, how = "replace") => {
    const kept = Object.entries({ ...query, ...change }).filter(([, value]) => value !== "");
    const search = new URLSearchParams(kept).toString();
    route(search === "" ? path : `${path}?${search}`, how === "replace");
  };
  return { query, set };
}
