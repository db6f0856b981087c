/** A new sweep, of the settings of a run: which of them vary, and what that takes, before it starts. */
import { useEffect } from "preact/hooks";
import { useLocation } from "preact-iso";
import { useAnswer } from "../api/query.ts";
import { needsScope, useMay } from "../api/viewer.ts";
import { at, copyPath, newSweepPath, runPath } from "../base.ts";
import { AddRun } from "../compare/add-run.tsx";
import { runToCopy } from "../new/operations.ts";
import { Problem } from "../parts/problem.tsx";
import { SweepForm } from "./sweep-form.tsx";

export function NewSweepPage() {
  const { query } = useLocation();
  const mayTrain = useMay()("TRAIN");
  const from = query["from"];
  useEffect(() => {
    document.title = "New sweep · Steplog";
  }, []);
  return (
    <>
      <nav class="crumbs" aria-label="Where this is">
        <a href={at("/sweeps")}>Sweeps</a>
      </nav>
      <div class="title">
        <h1>New sweep</h1>
      </div>
      {!mayTrain && <p>Your key may not create runs. To create a sweep, {needsScope("TRAIN")}.</p>}
      {mayTrain && from === undefined && <ChooseRun />}
      {mayTrain && from !== undefined && <FromRun key={from} id={from} />}
    </>
  );
}

function ChooseRun() {
  const { route } = useLocation();
  return (
    <>
      <p class="headline">
        A sweep repeats a run with other settings, to find out which are best. Choose the run that it starts from.
      </p>
      <AddRun label="Find a run" verb="Sweep from" ids={[]} open onAdd={(id) => route(newSweepPath(id))} />
      <p class="muted">
        There is no run yet? <a href={at("/new")}>Start one</a> first: it can be small, since its steps are a setting
        too.
      </p>
    </>
  );
}

function FromRun({ id }: { id: string }) {
  const { data, failure } = useAnswer(runToCopy, { id });
  const run = data?.fineTune;
  if (failure) return <Problem title="The run could not be read" failure={failure} />;
  if (data === null) return <p class="muted">Loading…</p>;
  if (!run)
    return (
      <p>
        There is no run at this address: it is deleted, or of another project.{" "}
        <a href={at("/sweeps/new")}>Choose another</a>
      </p>
    );
  if (run.dataset.deletedAt !== null)
    return (
      <p class="notice">
        The rows of <a href={runPath(id)}>{run.name}</a> are deleted, so it cannot be repeated.{" "}
        <a href={at("/sweeps/new")}>Choose another run</a>, or <a href={copyPath(id)}>copy it with other rows</a>.
      </p>
    );
  return <SweepForm run={run} />;
}
