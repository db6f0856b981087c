/** What a project may use. Bytes are typed in gigabytes. */
import type { QuotaName as WireName } from "../../../../client/schema-types.ts";
import type { QuotaName } from "../../../../schema/usage.ts";
import { change, useAnswer } from "../../api/query.ts";
import { commands } from "../../parts/commands.ts";
import { steplog } from "../../parts/copy-as.tsx";
import { Field } from "../../parts/form/field.tsx";
import { toast } from "../../parts/toast.tsx";
import { FormDialog, numberOf } from "../../parts/form/form-dialog.tsx";
import { quotasOf, setQuotas } from "../operations.ts";
import type { ProjectDeedProps } from "./deed.ts";

interface Limited {
  readonly wire: WireName;
  readonly label: string;
  /** Of what is typed. */
  readonly unit: number;
}

const limited: Readonly<Record<QuotaName, Limited>> = {
  bytes: { wire: "BYTES", label: "Stored datasets, weights and exports (GB)", unit: 1e9 },
  concurrentRuns: { wire: "CONCURRENT_RUNS", label: "Runs at once; the others wait", unit: 1 },
  requestsWaiting: { wire: "REQUESTS_WAITING", label: "Requests to models, waiting or being answered", unit: 1 },
  stepsAMonth: { wire: "STEPS_A_MONTH", label: "Steps in a month", unit: 1 },
  tokensAMonth: { wire: "TOKENS_A_MONTH", label: "Tokens in a month, trained and written", unit: 1 },
  workerSecondsAMonth: { wire: "WORKER_SECONDS_A_MONTH", label: "Hours of workers in a month", unit: 3_600 },
};
const names = Object.keys(limited) as QuotaName[];

export function QuotasForm({ project, onChanged, onClose }: ProjectDeedProps) {
  const { data } = useAnswer(quotasOf, { project: project.id });
  if (data === null) return null;
  const limitOf = (name: QuotaName) => {
    const quota = data.quotas.find((one) => one.name === limited[name].wire);
    return quota === undefined ? "" : String(quota.limit / limited[name].unit);
  };
  const variables = (form: FormData) => ({ project: project.id, quotas: quotasIn(form) });
  const send = async (form: FormData) => {
    await change(setQuotas, variables(form));
    toast("Quotas set.");
    onChanged();
  };
  return (
    <FormDialog
      title={`Quotas of “${project.name}”`}
      action="Set the quotas"
      onSend={send}
      repeat={(form) => ({
        what: "Set these quotas",
        operation: setQuotas,
        variables: variables(form),
        command: steplog(commands.quotasOfProject(project.name, quotasIn(form))),
      })}
      onClose={onClose}
    >
      <p>Empty means no limit. What is stored or under way stays, also when it is beyond a new limit.</p>
      {names.map((name) => (
        <Field key={name} label={limited[name].label} name={name}>
          {(shared) => (
            <input {...shared} type="number" min={0} step="any" placeholder="no limit" defaultValue={limitOf(name)} />
          )}
        </Field>
      ))}
    </FormDialog>
  );
}

function quotasIn(form: FormData): Record<QuotaName, number | null> {
  const limitIn = (name: QuotaName) => {
    const typed = numberOf(form, name);
    return typed === null ? null : Math.round(typed * limited[name].unit);
  };
  return Object.fromEntries(names.map((name) => [name, limitIn(name)])) as Record<QuotaName, number | null>;
}
