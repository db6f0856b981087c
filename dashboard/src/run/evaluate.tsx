/** Measures a checkpoint on the rows of a dataset, as the run measures itself. */
import { change, useAnswer } from "../api/query.ts";
import { formatCounted, formatInteger } from "../format.ts";
import { choices } from "../new/operations.ts";
import { commands } from "../parts/commands.ts";
import { steplog } from "../parts/copy-as.tsx";
import { Field } from "../parts/form/field.tsx";
import { FormDialog, textOf } from "../parts/form/form-dialog.tsx";
import { Problem } from "../parts/problem.tsx";
import { toast } from "../parts/toast.tsx";
import { measuringOf } from "./measuring.ts";
import { evaluateCheckpoint } from "./operations.ts";
import type { Run } from "./run-state.ts";

interface EvaluateProps {
  readonly run: Run;
  readonly checkpoint: { readonly id: string; readonly step: number };
  readonly onClose: () => void;
}

export function Evaluate({ run, checkpoint: { id, step }, onClose }: EvaluateProps) {
  const { data, failure } = useAnswer(choices, {});
  const rules = measuringOf(run);
  const variables = (form: FormData) => ({
    input: { ...rules, model: { checkpoint: id }, dataset: textOf(form, "dataset") },
  });
  return (
    <FormDialog
      title={`Evaluate step ${formatInteger(step)}`}
      action="Evaluate"
      failed="It is not evaluated"
      onSend={async (form) => {
        await change(evaluateCheckpoint, variables(form));
        toast("A worker measures it. The result appears below, under “Evaluations that were asked for”.");
      }}
      repeat={(form) => ({
        what: "this evaluation",
        operation: evaluateCheckpoint,
        variables: variables(form),
        command: steplog(commands.evaluate(id, { ...rules, dataset: textOf(form, "dataset") })),
      })}
      onClose={onClose}
    >
      <p>A worker measures it on all rows of a dataset, as the run measures itself: {rulesInWords(rules)}.</p>
      {failure && <Problem title="Datasets cannot be listed" failure={failure} />}
      <Field label="Dataset" name="dataset">
        {(shared) => (
          <select {...shared} required>
            {data?.datasets.nodes.map((one) => (
              <option key={one.id} value={one.id}>
                {one.name} ({formatCounted(one.rows, "row")})
              </option>
            ))}
          </select>
        )}
      </Field>
    </FormDialog>
  );
}

function rulesInWords({ labelWords, answerTokens }: ReturnType<typeof measuringOf>): string {
  const words = labelWords.map((word) => `“${word}”`).join(", ");
  const parts = [
    words === "" ? "by its loss" : `by its loss, and by its choice between ${words}`,
    ...(answerTokens > 0 ? [`by answers of up to ${formatCounted(answerTokens, "token")}`] : []),
  ];
  return parts.join(", and ");
}
