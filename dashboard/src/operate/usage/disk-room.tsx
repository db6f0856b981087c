/** What takes room on disk, by kind; for an operator of all projects. */
import type { DiskUseKind } from "../../../../client/schema-types.ts";
import { useAnswer } from "../../api/query.ts";
import { formatBytes, formatInteger } from "../../format.ts";
import { DataTable, type Column } from "../../parts/data-table.tsx";
import { Problem } from "../../parts/problem.tsx";
import { roomOnDisk, type RoomOnDiskQuery } from "../operations.ts";
import type { Who } from "../who.ts";

type Part = RoomOnDiskQuery["diskUse"]["parts"][number];

const kindWords: Readonly<Record<DiskUseKind, string>> = {
  AUDIT: "Audit log",
  BASES: "Base models for machines that lack them",
  COMPLETIONS: "Requests to models and answers",
  DATASETS: "Datasets",
  EVALUATIONS: "Evaluations that were asked for",
  EXPORTS: "Weights in other forms",
  LOGS: "Logs of runs",
  METRICS: "Measurements of steps",
  UNNAMED: "Files that nothing names; they go after a day",
  WEBHOOKS: "Webhooks and their messages",
  WEIGHTS: "Weights of checkpoints",
};

export function DiskRoom({ project, who }: { project: string | null; who: Who }) {
  const { data, failure } = useAnswer(roomOnDisk, { project });
  const all = who.operator && project === null;
  return (
    <section class="card" aria-labelledby="disk">
      <h2 id="disk">{all ? "Room on disk, of all projects" : "Room on disk"}</h2>
      {failure && <Problem title="The room on disk could not be read" failure={failure} />}
      {data && (
        <>
          <p>
            {formatBytes(data.diskUse.blobBytes)} in files
            {data.diskUse.databaseBytes !== null && `, and ${formatBytes(data.diskUse.databaseBytes)} in the database`}.
          </p>
          <DataTable
            name="Room on disk"
            columns={all ? [kindColumn, projectColumn, ...sizes] : [kindColumn, ...sizes]}
            rows={data.diskUse.parts}
            keyOf={({ kind, project: whose }) => `${kind} ${whose?.id ?? ""}`}
            sortedBy={{ title: "In files", descending: true }}
            empty="Nothing is stored yet."
          />
        </>
      )}
    </section>
  );
}

const kindColumn: Column<Part> = {
  title: "What",
  cell: ({ kind }) => kindWords[kind],
  sortBy: ({ kind }) => kindWords[kind],
};
const projectColumn: Column<Part> = {
  title: "Project",
  cell: ({ project }) => <span class="cut">{project?.name ?? "Everybody's"}</span>,
  sortBy: ({ project }) => project?.name ?? "",
};
const sizes: readonly Column<Part>[] = [
  { title: "Files", number: true, cell: ({ files }) => formatInteger(files), sortBy: ({ files }) => files },
  {
    title: "In files",
    number: true,
    cell: ({ blobBytes }) => formatBytes(blobBytes),
    sortBy: ({ blobBytes }) => blobBytes,
  },
  {
    title: "In the database",
    number: true,
    cell: ({ databaseBytes }) => formatBytes(databaseBytes),
    sortBy: ({ databaseBytes }) => databaseBytes,
  },
];
