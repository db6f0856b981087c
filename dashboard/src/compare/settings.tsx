/** Settings of the runs beside each other, those that differ first. */
import { formatCounted, formatInteger, none } from "../format.ts";
import { hyperparameterPair, hyperparametersFor } from "../parts/form/settings.ts";
import { Wide } from "../parts/wide.tsx";
import type { ComparedRun } from "./use-compared.ts";

export interface ComparedSetting {
  readonly name: string;
  /** One of each run; null where the run has no such setting. */
  readonly values: readonly (string | null)[];
}

const differs = ({ values }: ComparedSetting) => new Set(values).size > 1;

export function Settings({ runs }: { runs: readonly ComparedRun[] }) {
  const settings = settingsOf(runs);
  const same = settings.filter((one) => !differs(one));
  const different = settings.filter(differs);
  return (
    <section class="card">
      <h2>Settings</h2>
      {different.length === 0 ? (
        <p>These runs have the same settings and data.</p>
      ) : (
        <SettingsTable name="Settings that differ" runs={runs} settings={different} marked />
      )}
      {same.length > 0 && (
        <details>
          <summary>{formatCounted(same.length, "setting")} that are the same in all of them</summary>
          <SettingsTable name="Settings that are the same" runs={runs} settings={same} />
        </details>
      )}
    </section>
  );
}

interface TableProps {
  readonly name: string;
  readonly runs: readonly ComparedRun[];
  readonly settings: readonly ComparedSetting[];
  readonly marked?: boolean;
}

function SettingsTable({ name, runs, settings, marked = false }: TableProps) {
  return (
    <Wide name={name}>
      <table aria-label={name} class={marked ? "compare-settings marked" : "compare-settings"}>
        <thead>
          <tr>
            <th scope="col">Setting</th>
            {runs.map((run) => (
              <th key={run.id} scope="col" class="long">
                <span class="cut" title={run.name}>
                  {run.name}
                </span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {settings.map((one) => (
            <tr key={one.name}>
              <th scope="row">{one.name}</th>
              {runs.map(({ id }, index) => (
                <td key={id} class="long">
                  <span class="cut" title={one.values[index] ?? ""}>
                    {one.values[index] ?? none}
                  </span>
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </Wide>
  );
}

export function settingsOf(runs: readonly ComparedRun[]): ComparedSetting[] {
  const maps = runs.map((run) => new Map<string, string>([...dataPairs(run), ...settingPairs(run)]));
  const names = new Set(maps.flatMap((map) => [...map.keys()]));
  return [...names].map((name) => ({ name, values: maps.map((map) => map.get(name) ?? null) }));
}

const settingPairs = ({ hyperparameters, pickedRate }: ComparedRun) =>
  hyperparametersFor(hyperparameters.method).map((name) => hyperparameterPair(name, hyperparameters, pickedRate));

function dataPairs(run: ComparedRun): (readonly [string, string])[] {
  const { from } = run;
  return [
    ["Base model", run.baseModel.name],
    ["Training rows", run.dataset.name],
    ["Validation rows", run.validationDataset?.name ?? none],
    ["Test rows", run.testDataset?.name ?? none],
    ["Label words", run.labelWords.map((word) => `“${word}”`).join(", ") || none],
    ["Continues from", from ? `step ${formatInteger(from.step)} of ${from.fineTune.name}` : none],
  ];
}
