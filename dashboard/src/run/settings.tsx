/** The settings of a run: what differs from the default first, then all by group. They can be copied, to repeat the run. */
import type { ComponentChildren } from "preact";
import { hyperparameterGroups } from "../../../schema/hyperparameter-groups.ts";
import type { HyperparameterName } from "../../../schema/hyperparameter-table.ts";
import { useMay } from "../api/viewer.ts";
import { copyPath, datasetPath, runPath } from "../base.ts";
import { formatBytes, formatCompact, formatCounted, formatInteger, formatTime, none } from "../format.ts";
import { commandOf } from "../new/file.ts";
import { CopyAs } from "../parts/copy-as.tsx";
import { hyperparameterPair, hyperparametersFor, settingsChanged } from "../parts/form/settings.ts";
import { createFineTune } from "../new/operations.ts";
import { inputOf } from "./input.ts";
import type { Run } from "./run-state.ts";

export function Settings({ run }: { run: Run }) {
  const mayTrain = useMay()("TRAIN");
  const changed = settingsChanged(run.hyperparameters);
  const input = inputOf(run);
  const applies = new Set(hyperparametersFor(run.hyperparameters.method));
  const pairs = (names: readonly HyperparameterName[]) =>
    names.map((name) => hyperparameterPair(name, run.hyperparameters, run.pickedRate));
  return (
    <section class="card">
      <div class="toolbar">
        <h2>Settings</h2>
        {mayTrain && (
          <a class="button" href={copyPath(run.id)}>
            Copy to a new run
          </a>
        )}
        <CopyAs
          what="the creation of this run"
          operation={createFineTune}
          variables={{ input }}
          command={commandOf(input)}
        />
      </div>
      <Pairs pairs={dataOf(run)} />
      <h3>{changed.length === 0 ? "All other settings have their defaults" : "Different from the defaults"}</h3>
      <Pairs pairs={pairs(changed)} />
      <details>
        <summary>All settings</summary>
        {hyperparameterGroups.map(({ title, names }) => (
          <div key={title}>
            <h3>{title}</h3>
            <Pairs pairs={pairs(names.filter((name) => applies.has(name)))} />
          </div>
        ))}
      </details>
    </section>
  );
}

type Pair = readonly [string, ComponentChildren];

function Pairs({ pairs }: { pairs: readonly Pair[] }) {
  if (pairs.length === 0) return null;
  return (
    <dl class="pairs">
      {pairs.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function dataOf(run: Run): Pair[] {
  const { dataset, validationDataset, testDataset, from, progress } = run;
  const rowsOf = (one: Run["dataset"] | null) =>
    one === null ? none : <a href={datasetPath(one.id)}>{`${one.name} (${formatCounted(one.rows, "row")})`}</a>;
  const pairs: (Pair | null)[] = [
    from && [
      "Continues from",
      <span key="from">
        step {formatInteger(from.step)} of <a href={runPath(from.fineTune.id)}>{from.fineTune.name}</a>
      </span>,
    ],
    ["Base model", `${run.baseModel.name} (${formatBytes(run.baseModel.bytes)})`],
    ["Dataset", rowsOf(dataset)],
    validationDataset && ["Validation", rowsOf(validationDataset)],
    testDataset && ["Test", rowsOf(testDataset)],
    run.labelWords.length > 0 ? ["Label words", run.labelWords.map((word) => `“${word}”`).join(", ")] : null,
    run.device === null ? null : ["Device", run.device],
    progress.skippedSteps > 0 ? ["Skipped steps", formatCompact(progress.skippedSteps)] : null,
    progress.zeroSteps > 0 ? ["Steps with no difference", formatCompact(progress.zeroSteps)] : null,
    ["Created", formatTime(run.createdAt)],
    run.startedAt === null ? null : ["Started", formatTime(run.startedAt)],
    run.finishedAt === null ? null : ["Finished", formatTime(run.finishedAt)],
  ];
  return pairs.filter((pair) => pair !== null);
}
