/**
 * What the model answers to rows that it was not trained on, before and after tuning. The evaluations that tell are asked for
 * once, by a button: they take a worker's time.
 */
import { useEffect, useState } from "preact/hooks";
import { asFailure, type Failure } from "../api/failure.ts";
import { ask, change, useAnswer } from "../api/query.ts";
import { formatCounted, formatInteger, formatLoss } from "../format.ts";
import { commands } from "../parts/commands.ts";
import { CopyAs, steplog } from "../parts/copy-as.tsx";
import { DataTable, type Column } from "../parts/data-table.tsx";
import { Problem } from "../parts/problem.tsx";
import { answered, answersAsked, answersBefore, askForAnswers, type AskedFragment } from "./operations.ts";
import { measuringOf } from "./measuring.ts";
import type { Run } from "./run-state.ts";

type Checkpoint = NonNullable<Run["bestCheckpoint"]>;
type Asked = AskedFragment;

const pollMs = 2_000;

export function Answers({ run }: { run: Run }) {
  const checkpoint = run.bestCheckpoint;
  const dataset = run.validationDataset ?? run.testDataset;
  if (!dataset) return <NoAnswers why="It needs rows that the run was not trained on: validation or test rows." />;
  if (!checkpoint) return <NoAnswers why="It needs a checkpoint, and the run has none yet." />;
  return <Card run={run} checkpoint={checkpoint} dataset={dataset} />;
}

function NoAnswers({ why }: { why: string }) {
  return (
    <section class="card">
      <h2>Answers before and after</h2>
      <p class="muted">Shows what the model answers before tuning and after it. {why}</p>
    </section>
  );
}

interface CardProps {
  readonly run: Run;
  readonly checkpoint: Checkpoint;
  readonly dataset: { readonly id: string; readonly name: string };
}

function Card({ run, checkpoint, dataset }: CardProps) {
  const [failure, setFailure] = useState<Failure | null>(null);
  const [waits, setWaits] = useState(false);
  const [known, setKnown] = useState<Readonly<Record<"before" | "after" | "checkpoint", string>> | null>(null);
  const ids = known?.checkpoint === checkpoint.id ? { before: known.before, after: known.after } : null;
  const { data, reload } = useAnswer(answersBefore, { id: run.id }, waits ? { everyMs: pollMs } : {});
  const asked = useAnswer(answersAsked, ids ?? { before: "", after: "" }, {
    skip: ids === null,
    ...(waits && { everyMs: pollMs }),
  });
  const measured = (one: Asked) =>
    one.dataset.id === dataset.id &&
    one.answerTokens === run.hyperparameters.answerTokens &&
    one.labelWords.join("\n") === run.labelWords.join("\n");
  const before = asked.data?.before ?? data?.fineTune?.baseModel.evaluations.nodes.find(measured);
  const after =
    asked.data?.after ??
    data?.fineTune?.modelEvaluations.nodes.find((one) => measured(one) && one.checkpoint?.id === checkpoint.id);
  const open = [before, after].some((one) => one?.status === "QUEUED" || one?.status === "RUNNING");
  useEffect(() => setWaits(open), [open]);
  const shared = { ...measuringOf(run), dataset: dataset.id };
  // Asking twice asks for nothing more.
  const questions = {
    before: { ...shared, model: { name: run.baseModel.name }, idempotencyKey: `before-${run.id}-${dataset.id}` },
    after: { ...shared, model: { checkpoint: checkpoint.id }, idempotencyKey: `after-${checkpoint.id}-${dataset.id}` },
  };
  const start = async () => {
    setFailure(null);
    try {
      const answer = await change(askForAnswers, questions);
      setKnown({
        before: answer.before.evaluation.id,
        after: answer.after.evaluation.id,
        checkpoint: checkpoint.id,
      });
      reload();
    } catch (error) {
      setFailure(asFailure(error));
    }
  };
  const broken = [before, after].find((one) => one?.status === "FAILED")?.error;
  const waiting = [before, after].find((one) => one?.waitingReason)?.waitingReason;
  return (
    <section class="card">
      <div class="toolbar">
        <h2>Answers before and after</h2>
        {data !== null && (before === undefined || after === undefined) && (
          <>
            <button type="button" onClick={() => void start()}>
              Ask both models
            </button>
            <CopyAs
              what="these evaluations"
              operation={askForAnswers}
              variables={questions}
              command={steplog(...[run.baseModel.name, checkpoint.id].map((model) => commands.evaluate(model, shared)))}
            />
          </>
        )}
      </div>
      {failure && <Problem title="They were not asked" failure={failure} />}
      {broken && <Problem title="They could not answer" failure={{ ...broken, issues: [] }} />}
      {(before === undefined || after === undefined) && (
        <p class="muted">
          The base model and the checkpoint of step {formatInteger(checkpoint.step)} answer the rows of “{dataset.name}
          ”, which the run was not trained on.
        </p>
      )}
      {open && <p role="status">{waiting ?? "They are answering…"}</p>}
      {before?.status === "SUCCEEDED" && after?.status === "SUCCEEDED" && <Table before={before.id} after={after.id} />}
    </section>
  );
}

interface Pair {
  readonly row: number;
  readonly prompt: string | null;
  readonly expected: string | null;
  readonly before: Answer;
  readonly after: Answer;
}

interface Answer {
  readonly answer: string | null;
  readonly right: boolean | null;
  readonly loss: number | null;
}

const filters: Readonly<Record<string, { readonly name: string; readonly shows: (pair: Pair) => boolean }>> = {
  all: { name: "All", shows: () => true },
  wrong: { name: "Wrong after", shows: ({ after }) => after.right === false },
  better: { name: "Better after", shows: ({ before, after }) => before.right === false && after.right === true },
  worse: { name: "Worse after", shows: ({ before, after }) => before.right === true && after.right === false },
  changed: { name: "Another answer", shows: ({ before, after }) => before.answer !== after.answer },
};

const columns: readonly Column<Pair>[] = [
  { title: "Row", cell: ({ row }) => formatInteger(row + 1), sortBy: ({ row }) => row },
  { title: "Prompt", cell: ({ prompt }) => prompt ?? "tokens", long: true },
  { title: "Expected", cell: ({ expected }) => expected ?? "–", long: true },
  {
    title: "Before",
    cell: ({ before }) => <AnswerCell {...before} />,
    sortBy: ({ before }) => before.loss,
    long: true,
  },
  { title: "After", cell: ({ after }) => <AnswerCell {...after} />, sortBy: ({ after }) => after.loss, long: true },
];

function AnswerCell({ answer, right, loss }: Answer) {
  if (answer === null || right === null) return <>loss {formatLoss(loss)}</>;
  return (
    <>
      {answer} <small class={right ? "good" : "bad"}>{right ? "right" : "wrong"}</small>
    </>
  );
}

function Table({ before, after }: { before: string; after: string }) {
  const [pairs, setPairs] = useState<readonly Pair[]>([]);
  const [more, setMore] = useState(true);
  const [filter, setFilter] = useState("all");
  const [failure, setFailure] = useState<Failure | null>(null);
  const load = async (from: number) => {
    try {
      const found = await ask(answered, { before, after, from });
      const earlier = new Map(found.before?.examples.map((one) => [one.row, one]));
      const next = (found.after?.examples ?? []).flatMap((one) => {
        const base = earlier.get(one.row);
        return base ? [{ row: one.row, prompt: one.prompt, expected: one.expected, before: base, after: one }] : [];
      });
      setPairs((known) => (from === -1 ? next : [...known, ...next]));
      setMore(next.length === 100);
      setFailure(null);
    } catch (error) {
      setFailure(asFailure(error));
    }
  };
  useEffect(() => void load(-1), [before, after]);
  const shown = pairs.filter((pair) => filters[filter]?.shows(pair));
  return (
    <>
      <div class="toolbar">
        <label class="check">
          Show
          <select value={filter} onChange={({ currentTarget }) => setFilter(currentTarget.value)}>
            {Object.entries(filters).map(([key, { name, shows }]) => (
              <option key={key} value={key} selected={key === filter}>
                {name} ({formatInteger(pairs.filter(shows).length)})
              </option>
            ))}
          </select>
        </label>
      </div>
      {failure && <Problem title="The answers could not be read" failure={failure} />}
      <div class="answers" tabIndex={0} role="region" aria-label="Rows">
        <DataTable
          name="Answers before and after"
          columns={columns}
          rows={shown}
          keyOf={({ row }) => String(row)}
          empty="No row is so."
        />
      </div>
      {more && pairs.length > 0 && (
        <button type="button" onClick={() => void load(pairs.at(-1)?.row ?? -1)}>
          Show more than {formatCounted(pairs.length, "row")}
        </button>
      )}
    </>
  );
}
