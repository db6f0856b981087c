/**
 * What the model answers to rows that it was not trained on, before and after tuning: with the best checkpoint, or the one that
 * is chosen. The evaluations that tell are asked for once, by a button: they take a worker's time.
 */
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { asFailure, type Failure } from "../api/failure.ts";
import { ask, change, useAnswer } from "../api/query.ts";
import { needsScope, useMay } from "../api/viewer.ts";
import { Answer, type Answered } from "../evaluations/answer.tsx";
import { useEveryRow } from "../evaluations/every-row.ts";
import { ShownRows, type Filter } from "../evaluations/shown-rows.tsx";
import { formatInteger, none } from "../format.ts";
import { commands } from "../parts/commands.ts";
import { CopyAs, steplog } from "../parts/copy-as.tsx";
import type { Column } from "../parts/data-table.tsx";
import { Problem } from "../parts/problem.tsx";
import { answered, answersAsked, answersBefore, askForAnswers, type AskedFragment } from "./operations.ts";
import { AnswersOf, useAnswersOf } from "./answers-of.tsx";
import { measuringOf } from "./measuring.ts";
import type { Run } from "./run-state.ts";

type Asked = AskedFragment;

const pollMs = 2_000;

export function Answers({ run }: { run: Run }) {
  const { checkpoint, ...choice } = useAnswersOf(run);
  const dataset = run.validationDataset ?? run.testDataset;
  if (!dataset) return <NoAnswers why="It needs rows that the run was not trained on: validation or test rows." />;
  if (!checkpoint) return <NoAnswers why="It needs a checkpoint, and the run has none yet." />;
  return (
    <Card
      run={run}
      checkpoint={checkpoint}
      dataset={dataset}
      choice={<AnswersOf {...choice} checkpoint={checkpoint} />}
    />
  );
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
  readonly checkpoint: { readonly id: string; readonly step: number };
  readonly dataset: { readonly id: string; readonly name: string };
  /** Of the checkpoint. */
  readonly choice: ComponentChildren;
}

function Card({ run, checkpoint, dataset, choice }: CardProps) {
  const mayAsk = useMay()("INFER");
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
    (ids === null ? null : asked.data?.after) ??
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
        {choice}
        {data !== null && mayAsk && (before === undefined || after === undefined) && (
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
          ”, which the run was not trained on.{!mayAsk && ` To ask them, ${needsScope("INFER")}.`}
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
  readonly before: Answered;
  readonly after: Answered;
}

const filters: readonly Filter<Pair>[] = [
  { name: "All", shows: () => true },
  { name: "Wrong after", shows: ({ after }) => after.right === false },
  { name: "Better after", shows: ({ before, after }) => before.right === false && after.right === true },
  { name: "Worse after", shows: ({ before, after }) => before.right === true && after.right === false },
  { name: "Another answer", shows: ({ before, after }) => before.answer !== after.answer },
];

const columns: readonly Column<Pair>[] = [
  { title: "Row", cell: ({ row }) => formatInteger(row + 1), sortBy: ({ row }) => row },
  { title: "Prompt", cell: ({ prompt }) => prompt ?? "tokens", long: true },
  { title: "Expected", cell: ({ expected }) => expected ?? none, long: true },
  { title: "Before", cell: ({ before }) => <Answer {...before} />, sortBy: ({ before }) => before.loss, long: true },
  { title: "After", cell: ({ after }) => <Answer {...after} />, sortBy: ({ after }) => after.loss, long: true },
];

function Table({ before, after }: { before: string; after: string }) {
  const [measured, setMeasured] = useState<number | null>(null);
  const every = useEveryRow<Pair>(`${before} ${after}`, async (from) => {
    const found = await ask(answered, { before, after, from });
    setMeasured(found.before?.rows ?? null);
    // They have the same rows: those of the dataset.
    const earlier = new Map(found.before?.examples.map((one) => [one.row, one]));
    return (found.after?.examples ?? []).flatMap((one) => {
      const base = earlier.get(one.row);
      return base ? [{ row: one.row, prompt: one.prompt, expected: one.expected, before: base, after: one }] : [];
    });
  });
  return (
    <ShownRows {...every} name="Answers before and after" columns={columns} filters={filters} measured={measured} />
  );
}
