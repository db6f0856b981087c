/** Results of a run: its evaluations beside the baselines, starting with the model before training. */
import { formatInteger, formatLoss, formatShare } from "../format.ts";
import { measureOf } from "../parts/measure.ts";
import type { Run } from "./run-state.ts";

type Evaluation = Run["evaluations"][number];

export function Evaluations({ run }: { run: Run }) {
  const of = (kind: Evaluation["kind"]) => run.evaluations.filter((one) => one.kind === kind);
  const [validations, tests] = [of("VALIDATION"), of("TEST")];
  const { bestEvaluation: best } = run;
  const start = run.from ? "Before this run" : "Base model";
  const rows: readonly (readonly [string, Evaluation | undefined])[] = [
    [start, validations.find(({ step }) => step === 0)],
    [`${start}, in-context examples`, of("IN_CONTEXT")[0]],
    [`${start}, linear probe`, of("LINEAR_PROBE")[0]],
    ["Best", validations.find(({ step }) => step === best?.step)],
    ["Latest", validations.at(-1)],
    [`Test: ${run.from ? "before this run" : "base model"}`, tests.find(({ step }) => step === 0)],
    ["Test: best checkpoint", tests.findLast(({ step }) => step > 0)],
  ];
  const known = rows.flatMap(([name, one]) => (one ? [[name, one] as const] : []));
  if (known.length === 0) return null;
  const answered = known.some(([, { f1, exactMatch }]) => f1 !== null || exactMatch !== null);
  const judge = measureOf(run.hyperparameters.bestMetric, run.evaluations);
  return (
    <section class="card">
      <h2>Evaluations</h2>
      <table class="stacking">
        <thead>
          <tr>
            <th scope="col">Evaluation</th>
            <th scope="col">Step</th>
            <th scope="col">Accuracy</th>
            {answered && <th scope="col">F1</th>}
            {answered && <th scope="col">Exact match</th>}
            <th scope="col">Loss</th>
            <th scope="col">Rows</th>
          </tr>
        </thead>
        <tbody>
          {known.map(([name, { step, accuracy, f1, exactMatch, loss, rows: count }]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td data-label="Step">{formatInteger(step)}</td>
              <td data-label="Accuracy">{formatShare(accuracy)}</td>
              {answered && <td data-label="F1">{formatShare(f1)}</td>}
              {answered && <td data-label="Exact match">{formatShare(exactMatch)}</td>}
              <td data-label="Loss">{formatLoss(loss)}</td>
              <td data-label="Rows">{formatInteger(count)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="muted">
        The best is that with the {judge.better === "lower" ? "lowest" : "highest"} {judge.name}.
      </p>
    </section>
  );
}
