/** What an evaluation that was asked for came to, row by row: a column of a list of them, and the dialog that it opens. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { ModelEvaluationStatus } from "../../../client/schema-types.ts";
import { ask } from "../api/query.ts";
import { formatCounted, formatInteger, none } from "../format.ts";
import type { Column } from "../parts/data-table.tsx";
import { toldApart } from "../parts/told-apart.ts";
import { Answer } from "./answer.tsx";
import { useEveryRow } from "./every-row.ts";
import { evaluationRows, type EvaluationRowsQuery } from "./operations.ts";
import { ShownRows, type Filter } from "./shown-rows.tsx";

interface Listed {
  readonly id: string;
  readonly status: ModelEvaluationStatus;
  /** Null until it has ended. */
  readonly rows: number | null;
}

/**
 * @param nameOf what was measured, as the list has it
 * @returns the column, and the dialog, which is to be rendered beside the table
 */
export function useEachRow<One extends Listed>(all: readonly One[], nameOf: (one: One) => string) {
  const [shown, setShown] = useState<One | null>(null);
  const called = toldApart(all.map((one) => ({ id: one.id, name: nameOf(one) })));
  const titleOf = (one: One) => called.get(one.id) ?? nameOf(one);
  const column: Column<One> = {
    title: "Rows",
    cell: (one) => {
      if (one.rows === null) return none;
      const words = `Show ${formatCounted(one.rows, "row")}`;
      return (
        <button type="button" class="quiet" aria-label={`${words}: ${titleOf(one)}`} onClick={() => setShown(one)}>
          {words}
        </button>
      );
    },
  };
  const dialog: ComponentChildren = shown && (
    <EachRow key={shown.id} id={shown.id} title={titleOf(shown)} onClose={() => setShown(null)} />
  );
  return { column, dialog };
}

type Row = NonNullable<EvaluationRowsQuery["modelEvaluation"]>["examples"][number];

const columns: readonly Column<Row>[] = [
  { title: "Row", cell: ({ row }) => formatInteger(row + 1), sortBy: ({ row }) => row },
  { title: "Prompt", cell: ({ prompt }) => prompt ?? "tokens", long: true },
  { title: "Expected", cell: ({ expected }) => expected ?? none, long: true },
  { title: "Answer", cell: (row) => <Answer {...row} />, sortBy: ({ loss }) => loss, long: true },
];

const all: Filter<Row> = { name: "All", shows: () => true };
const byRight: readonly Filter<Row>[] = [
  all,
  { name: "Right", shows: ({ right }) => right === true },
  { name: "Wrong", shows: ({ right }) => right === false },
];

interface EachRowProps {
  readonly id: string;
  readonly title: string;
  readonly onClose: () => void;
}

/** Open as long as it is rendered. */
function EachRow({ id, title, onClose }: EachRowProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  const [measured, setMeasured] = useState<number | null>(null);
  const every = useEveryRow<Row>(id, async (from) => {
    const { modelEvaluation: found } = await ask(evaluationRows, { id, from });
    setMeasured(found?.rows ?? null);
    return found?.examples ?? [];
  });
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} aria-labelledby={heading} onClose={onClose} class="wide">
      <h2 id={heading}>Each row: {title}</h2>
      <ShownRows
        {...every}
        name="Answers"
        columns={columns}
        filters={every.rows.some(({ right }) => right !== null) ? byRight : [all]}
        measured={measured}
      />
      <div class="actions">
        <button type="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </div>
    </dialog>
  );
}
