/** What to try after a run has failed, and the button or link that does it. */
import { useState } from "preact/hooks";
import { adviceFor, type Advice } from "../../../schema/advice.ts";
import { isTooFast, slowerRate, stepToFork, type SlowerRate } from "../../../schema/rate-advice.ts";
import { useMay } from "../api/viewer.ts";
import { at, copyPath } from "../base.ts";
import { formatInteger } from "../format.ts";
import { Fork } from "./fork.tsx";
import type { Run } from "./run-state.ts";

export function FailedRun({ run }: { run: Run }) {
  const advice = run.error && adviceFor(run.error.code);
  if (!advice) return null;
  return (
    <p class="advice">
      <span>{advice.words}.</span> <Next run={run} next={advice.next} />
    </p>
  );
}

function Next({ run, next }: { run: Run; next: Advice["next"] }) {
  const [asked, setAsked] = useState(false);
  const mayTrain = useMay()("TRAIN");
  const checkpoint = checkpointFor(run);
  if (next === "NONE") return null;
  if (next === "MODELS") return <a href={at("/models")}>Models</a>;
  if (next === "WORKERS") return <a href={at("/operate/workers")}>Workers</a>;
  if (!mayTrain) return null;
  if (next === "COPY" || !checkpoint) {
    return <a href={copyPath(run.id)}>Copy to a new run, and change it there</a>;
  }
  const slower = next === "FORK_SLOWER" ? slowerThan(run) : null;
  const step = `Fork step ${formatInteger(checkpoint.step)}`;
  return (
    <>
      <button type="button" onClick={() => setAsked(true)}>
        {slower === null ? step : `${step} with ${slower.words} of the rate`}
      </button>
      {asked && (
        <Fork
          run={run}
          checkpoint={checkpoint}
          {...(slower !== null && { learningRate: slower.rate })}
          onClose={() => setAsked(false)}
        />
      )}
    </>
  );
}

/** That which the error's message names: the best one otherwise. Null where the run is to start again, or has none. */
function checkpointFor({ error, checkpoints: { nodes }, bestCheckpoint }: Run) {
  const step = stepToFork(error?.message ?? "");
  if (step === 0) return null;
  return nodes.find((one) => one.step === step) ?? bestCheckpoint;
}

/** Null where the rate was to be chosen and none was. */
function slowerThan({ error, pickedRate, hyperparameters: { learningRate } }: Run): SlowerRate | null {
  const rate = pickedRate ?? (learningRate === "AUTO" ? null : learningRate);
  return rate === null || error === null || !isTooFast(error.code) ? null : slowerRate(error.code, rate);
}
