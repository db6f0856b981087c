/** The runs of a sweep with the settings that vary, the best first. */
import { useMemo } from "preact/hooks";
import { hyperparameterTable, type HyperparameterName } from "../../../schema/hyperparameter-table.ts";
import { runPath } from "../base.ts";
import { formatInteger, formatLoss, none } from "../format.ts";
import { DataTable, type Column } from "../parts/data-table.tsx";
import { settingInWords, shortLabel } from "../parts/form/settings.ts";
import { Progress, Status } from "../parts/status.tsx";
import { Wide } from "../parts/wide.tsx";
import type { Metric, SweptRun } from "./metric.ts";

interface SweepTableProps {
  /** Those that are shown. */
  readonly runs: readonly SweptRun[];
  /** Of the sweep, in the order of their settings. */
  readonly all: readonly SweptRun[];
  readonly varied: readonly string[];
  readonly metric: Metric;
  readonly pointed: string | null;
  readonly onPoint: (id: string | null) => void;
}

export function SweepTable({ runs, all, varied, metric, pointed, onPoint }: SweepTableProps) {
  const columns = useMemo(() => columnsOf(all, varied, metric), [all, varied.join(), metric]);
  const point = ({ target }: Event) =>
    onPoint((target as Element).closest<HTMLElement>("tr[data-key]")?.dataset["key"] ?? null);
  return (
    <section class="card sweep-table" onPointerOver={point} onPointerLeave={() => onPoint(null)} onFocusIn={point}>
      <h2>Runs</h2>
      <Wide name="Runs">
        <DataTable
          key={metric.title}
          name="Runs of the sweep"
          columns={columns}
          rows={runs}
          keyOf={({ id }) => id}
          sortedBy={{ title: metric.title, descending: metric.better === "higher" }}
          classOf={({ id }) => (id === pointed ? "pointed" : "")}
          empty="No run is within these ranges."
        />
      </Wide>
    </section>
  );
}

/** The names of the runs would only repeat what the columns say. */
function columnsOf(all: readonly SweptRun[], varied: readonly string[], metric: Metric): Column<SweptRun>[] {
  const places = new Map(all.map(({ id }, index) => [id, index + 1]));
  const names = varied.filter((name): name is HyperparameterName => name in hyperparameterTable);
  const scored = metric.better === "higher";
  return [
    {
      title: "Run",
      sortBy: ({ id }) => places.get(id),
      cell: ({ id, name }) => (
        <a href={runPath(id)} title={name}>
          Run {places.get(id)}
        </a>
      ),
    },
    ...names.map(settingColumn),
    {
      title: metric.title,
      number: true,
      sortBy: metric.of,
      cell: (run) => <strong>{metric.format(metric.of(run))}</strong>,
    },
    ...(scored ? [lossColumn] : []),
    {
      title: "At step",
      number: true,
      sortBy: ({ bestEvaluation }) => bestEvaluation?.step,
      cell: ({ bestEvaluation }) => (bestEvaluation ? formatInteger(bestEvaluation.step) : none),
    },
    { title: "Status", sortBy: ({ status }) => status, cell: (run) => <Status run={run} /> },
    { title: "Progress", sortBy: ({ progress }) => progress.fraction, cell: (run) => <Progress run={run} /> },
  ];
}

const lossColumn: Column<SweptRun> = {
  title: "Its loss",
  number: true,
  sortBy: ({ bestEvaluation }) => bestEvaluation?.loss,
  cell: ({ bestEvaluation }) => formatLoss(bestEvaluation?.loss),
};

function settingColumn(name: HyperparameterName): Column<SweptRun> {
  return {
    title: shortLabel(name),
    number: hyperparameterTable[name].type === "integer" || hyperparameterTable[name].type === "number",
    sortBy: ({ hyperparameters }) => sortable(hyperparameters[name]),
    cell: ({ hyperparameters }) => settingInWords(name, hyperparameters[name]),
  };
}

const sortable = (value: SweptRun["hyperparameters"][HyperparameterName]) =>
  typeof value === "object" ? value.join() : Number.isNaN(Number(value)) ? String(value) : Number(value);
