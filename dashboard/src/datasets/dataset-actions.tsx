/** What can be done with a dataset: download it, say when it ends, delete it. Deleting tells first what uses it. */
import { useState } from "preact/hooks";
import { download } from "../api/client.ts";
import { asFailure } from "../api/failure.ts";
import { change, useAnswer } from "../api/query.ts";
import { runPath } from "../base.ts";
import { formatCounted } from "../format.ts";
import { commands } from "../parts/commands.ts";
import { Confirm } from "../parts/confirm.tsx";
import { steplog } from "../parts/copy-as.tsx";
import { MenuButton } from "../parts/menu.tsx";
import { Problem } from "../parts/problem.tsx";
import { isFinal } from "../parts/status.tsx";
import { toast } from "../parts/toast.tsx";
import { Ending } from "./ending.tsx";
import { measuredInWords } from "./words.ts";
import { datasetUses, deleteDataset } from "./operations.ts";

interface Acted {
  readonly id: string;
  readonly name: string;
  readonly rows: number;
  readonly url: string;
  readonly expiresAt: string | null;
}

interface ActionsProps {
  readonly dataset: Acted;
  readonly onChange: () => unknown;
  readonly onDeleted: () => unknown;
  /** In a table of many: its name, and what tells it from others of it. Left out on the page of this one. */
  readonly called?: string;
}

export function DatasetActions({ dataset, onChange, onDeleted, called }: ActionsProps) {
  const [asked, setAsked] = useState<"end" | "delete" | null>(null);
  const { name, url } = dataset;
  const save = async () => {
    try {
      await download(url, `${name}.jsonl`);
    } catch (error) {
      toast(`The download failed: ${asFailure(error).message}`);
    }
  };
  return (
    <>
      <MenuButton
        {...(called === undefined
          ? { label: "More", name: `More actions of ${name}` }
          : { label: "⋯", name: `Actions of ${called}` })}
        actions={[
          { name: "Download", run: () => void save() },
          { name: "Set when it ends", needs: "WRITE", run: () => setAsked("end") },
          { name: "Delete", needs: "WRITE", danger: true, run: () => setAsked("delete") },
        ]}
      />
      {asked === "end" && <Ending dataset={dataset} onSet={onChange} onClose={() => setAsked(null)} />}
      {asked === "delete" && <Deleting dataset={dataset} onDeleted={onDeleted} onClose={() => setAsked(null)} />}
    </>
  );
}

interface DeletingProps {
  readonly dataset: Acted;
  readonly onDeleted: () => unknown;
  readonly onClose: () => void;
}

function Deleting({ dataset: { id, name, rows }, onDeleted, onClose }: DeletingProps) {
  return (
    <Confirm
      title={`Delete “${name}”?`}
      action="Delete it"
      danger
      repeat={{
        what: "the removal of this dataset",
        operation: deleteDataset,
        variables: { id },
        command: steplog(commands.deleteDataset(id)),
      }}
      onConfirm={async () => {
        await change(deleteDataset, { id });
        toast(`Deleted “${name}”.`);
        await onDeleted();
      }}
      onClose={onClose}
    >
      <p>Its {formatCounted(rows, "row")} are lost, also for projects that it is shared with.</p>
      <UsedBy id={id} />
    </Confirm>
  );
}

function UsedBy({ id }: { id: string }) {
  const { data, failure } = useAnswer(datasetUses, { id });
  if (failure) return <Problem title="What uses it could not be read" failure={failure} />;
  if (!data) return <p class="muted">Looking for what uses it…</p>;
  const { nodes, totalCount } = data.fineTunes;
  const evaluations = data.dataset?.evaluations.nodes ?? [];
  if (totalCount + evaluations.length === 0) return <p>Nothing in this project uses it.</p>;
  const more = totalCount - nodes.length;
  return (
    <>
      <p>These use it. What has ended stays, and names a dataset that is deleted; what has not must end first.</p>
      <ul>
        {nodes.map((run) => (
          <li key={run.id}>
            <a href={runPath(run.id)}>{run.name}</a>
            {isFinal(run.status) ? "" : ", which has not ended"}
          </li>
        ))}
        {more > 0 && <li>{formatCounted(more, "more run")}</li>}
        {evaluations.map(({ status, ...evaluation }) => (
          <li key={evaluation.id}>
            an evaluation of {measuredInWords(evaluation)}
            {status === "QUEUED" || status === "RUNNING" ? ", which has not ended" : ""}
          </li>
        ))}
      </ul>
    </>
  );
}
