/** Which checkpoint's answers are shown: the best one's, until another is chosen. The choice is in the address: ?answers=ID */
import { useEffect, useState } from "preact/hooks";
import { useAnswer } from "../api/query.ts";
import { formatInteger } from "../format.ts";
import { Problem } from "../parts/problem.tsx";
import { checkpointChoices } from "./operations.ts";
import type { Run } from "./run-state.ts";

interface Chosen {
  readonly id: string;
  readonly step: number;
}

const word = "answers";

export function useAnswersOf({ id, bestCheckpoint: best, checkpoints }: Run) {
  const [chosen, setChosen] = useState(() => new URLSearchParams(location.search).get(word));
  const { data, failure, reload } = useAnswer(checkpointChoices, { id });
  const newest = checkpoints.nodes[0]?.id;
  useEffect(() => {
    if (newest !== undefined) reload();
  }, [newest]);
  const { nodes, pageInfo } = data?.fineTune?.checkpoints ?? { nodes: [], pageInfo: { hasNextPage: false } };
  const all: readonly Chosen[] = best && !nodes.some((one) => one.id === best.id) ? [best, ...nodes] : nodes;
  const choose = (one: string) => {
    const other = one === best?.id ? null : one;
    setChosen(other);
    write(other);
  };
  const checkpoint = all.find((one) => one.id === chosen) ?? best;
  return { checkpoint, all, best, failure, more: pageInfo.hasNextPage, choose };
}

/** What others wrote in the address stays. */
function write(chosen: string | null): void {
  const query = new URLSearchParams(location.search);
  if (chosen === null) query.delete(word);
  else query.set(word, chosen);
  const search = query.size === 0 ? "" : `?${query.toString()}`;
  history.replaceState(history.state, "", `${location.pathname}${search}${location.hash}`);
}

interface AnswersOfProps extends Omit<ReturnType<typeof useAnswersOf>, "checkpoint"> {
  readonly checkpoint: Chosen;
}

export function AnswersOf({ checkpoint, all, best, failure, more, choose }: AnswersOfProps) {
  if (failure) return <Problem title="The checkpoints could not be read" failure={failure} />;
  if (all.length < 2) return null;
  return (
    <label class="beside-label" title={more ? "The latest hundred, and the best one" : undefined}>
      Checkpoint
      <select onChange={({ currentTarget: { value } }) => choose(value)}>
        {all.map(({ id, step }) => (
          <option key={id} value={id} selected={id === checkpoint.id}>
            step {formatInteger(step)}
            {id === best?.id ? ", the best" : ""}
          </option>
        ))}
      </select>
    </label>
  );
}
