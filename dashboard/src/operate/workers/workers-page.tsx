/** The machines that train and answer: what each does now and can do, and what waits for one. */
import { useAnswer } from "../../api/query.ts";
import { runPath } from "../../base.ts";
import { formatAgo, formatBytes, formatCounted, formatInteger, formatTime } from "../../format.ts";
import { Problem } from "../../parts/problem.tsx";
import { OperateFrame } from "../frame.tsx";
import { liveWorkers, type LiveWorkersQuery } from "../operations.ts";
import { Queue } from "./queue.tsx";
import { AllWork } from "./work.tsx";

type Worker = LiveWorkersQuery["workers"][number];

const everyMs = 3_000;
/** Workers report every 2 seconds. */
const silentMs = 6_000;

export function WorkersPage() {
  return (
    <OperateFrame title="Workers" needs="READ">
      {() => <Workers />}
    </OperateFrame>
  );
}

function Workers() {
  const { data, failure } = useAnswer(liveWorkers, {}, { everyMs });
  return (
    <>
      {failure && <Problem title="The workers could not be read" failure={failure} />}
      {data === null && failure === null && <p class="muted">Loading…</p>}
      {data?.workers.length === 0 && (
        <div class="empty card">
          <p>No worker is running, so nothing trains and no model answers. Start one on a machine with the models:</p>
          <code>npx steplog worker</code>
        </div>
      )}
      {data && data.workers.length > 0 && <p role="status">{summary(data.workers)}</p>}
      {data && data.workers.length > 0 && (
        <div class="columns wide">
          {data.workers.map((worker) => (
            <OneWorker key={worker.name} worker={worker} />
          ))}
        </div>
      )}
      <AllWork />
      <Queue />
    </>
  );
}

/** "3 workers: 1 busy, 2 idle." */
function summary(workers: readonly Worker[]): string {
  const counts = new Map<string, number>();
  for (const worker of workers) {
    const { words } = stateOf(worker);
    counts.set(words, (counts.get(words) ?? 0) + 1);
  }
  const parts = [...counts].map(([words, count]) => `${count} ${words.toLowerCase()}`);
  return `${formatCounted(workers.length, "worker")}: ${parts.join(", ")}.`;
}

function stateOf(worker: Worker): { readonly words: string; readonly look: string } {
  if (worker.asleep) return { words: "Asleep", look: "" };
  if (Date.parse(worker.lastSeenAt) < Date.now() - silentMs) return { words: "Silent", look: "failed" };
  const busy = worker.job !== null || (worker.serving?.requests ?? 0) > 0;
  return busy ? { words: "Busy", look: "running" } : { words: "Idle", look: "succeeded" };
}

function OneWorker({ worker }: { worker: Worker }) {
  const { words, look } = stateOf(worker);
  const { name, lastSeenAt, startedAt, device, memoryBytes, families, precisions, models, version } = worker;
  return (
    <section class="card worker" aria-label={`Worker ${name}`}>
      <div class="title">
        <h2>{name}</h2>
        <span class={`status ${look}`}>{words}</span>
        {words !== "Idle" && words !== "Busy" && (
          <span class="muted">
            since <time title={formatTime(lastSeenAt)}>{formatAgo(lastSeenAt)}</time>
          </span>
        )}
      </div>
      <p>
        <Doing worker={worker} />
      </p>
      <dl class="pairs">
        <Pair name="Device">{device}</Pair>
        <Pair name="Memory">{formatBytes(memoryBytes)}</Pair>
        <Pair name="Requests">{servingWords(worker)}</Pair>
        <Pair name="Models">{models.length === 0 ? "None yet" : models.map((one) => one.name).join(", ")}</Pair>
        <Pair name="Families of models">{families.join(", ")}</Pair>
        <Pair name="Number formats">{precisions.join(", ")}</Pair>
        <Pair name="Steplog">
          {version}, running since {formatTime(startedAt)}
        </Pair>
      </dl>
    </section>
  );
}

function Pair({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

const kindWords: Readonly<Record<string, string>> = {
  FINE_TUNE: "Trains a run",
  MATERIALISE: "Rebuilds the weights of a checkpoint",
  EXPORT: "Rebuilds weights in another form",
  EVALUATE: "Evaluates a model",
  MEASURE: "Measures how long a run would take",
};

function Doing({ worker: { job, serving, asleep } }: { worker: Worker }) {
  if (asleep) return <>Its process has ended for lack of work, and starts again when there is some that it can do.</>;
  const requests = serving?.requests ?? 0;
  const answers = requests > 0 && ` Answers ${formatCounted(requests, "request")}.`;
  if (job === null) return <>{answers || "Waiting for work."}</>;
  if (job.fineTune) {
    const { id, name, progress } = job.fineTune;
    return (
      <>
        Trains <a href={runPath(id)}>{name}</a>: step {formatInteger(progress.step)} of {formatInteger(progress.steps)}.
        {answers}
      </>
    );
  }
  if (job.checkpoint) {
    const { step, fineTune } = job.checkpoint;
    return (
      <>
        {kindWords[job.kind] ?? job.kind}: step {formatInteger(step)} of{" "}
        <a href={runPath(fineTune.id)}>{fineTune.name}</a>.{answers}
      </>
    );
  }
  return (
    <>
      {kindWords[job.kind] ?? job.kind}.{answers}
    </>
  );
}

function servingWords({ serving }: Worker): string {
  if (serving === null) return "It trains only, and answers none";
  const { places, warm, usedBytes, memoryBytes } = serving;
  const room = formatBytes(memoryBytes);
  const loaded =
    warm.length === 0
      ? `no model is loaded yet, and there is room for ${room}`
      : `${formatCounted(warm.length, "model")} loaded, in ${formatBytes(usedBytes)} of ${room}`;
  return `Up to ${formatCounted(places, "answer")} at once; ${loaded}`;
}
