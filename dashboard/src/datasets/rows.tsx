/** The rows of a dataset by pages. Page and model are in the address, so that back leads to the page before. */
import { useLocation } from "preact-iso";
import { useAnswer } from "../api/query.ts";
import { datasetPath } from "../base.ts";
import { formatBytes, formatCounted, formatInteger } from "../format.ts";
import { Problem } from "../parts/problem.tsx";
import { Tokens, TokensHelp } from "../parts/tokens.tsx";
import { rowReaders, seenRows, storedRows, type SeenRowsQuery, type StoredRowsQuery } from "./operations.ts";

interface RowsProps {
  readonly dataset: { readonly id: string; readonly rows: number };
}

interface Shown {
  /** Cursor of the page before; "" for the first page. */
  readonly after: string;
  /** Whose view is shown; "" for the rows as they are stored. */
  readonly model: string;
}

type StoredRow = NonNullable<StoredRowsQuery["dataset"]>["storedRows"]["rows"][number];
type SeenRow = SeenRowsQuery["previewRows"]["rows"][number];

export function Rows({ dataset: { id, rows: total } }: RowsProps) {
  const { query, route } = useLocation();
  const shown = { after: query["after"] ?? "", model: query["model"] ?? "" };
  const { data, failure } = useAnswer(storedRows, { id, after: shown.after || null });
  const page = data?.dataset?.storedRows;
  const show = (change: Partial<Shown>) => route(addressOf(id, { ...shown, ...change }));
  return (
    <section class="card">
      <div class="title">
        <h2>Rows</h2>
        <Reader model={shown.model} onModel={(model) => show({ model })} />
      </div>
      {failure && <Problem title="The rows could not be read" failure={failure} />}
      {!page && !failure && <p class="muted">Loading…</p>}
      {page && shown.model === "" && <StoredRows rows={page.rows} />}
      {page && shown.model !== "" && <SeenRows id={id} shown={shown} count={page.rows.length} />}
      {page && (
        <div class="pages">
          <span class="muted" role="status">
            {placeOf(page.rows, total)}
          </span>
          <button type="button" disabled={shown.after === ""} onClick={() => show({ after: "" })}>
            First page
          </button>
          <button type="button" disabled={shown.after === ""} onClick={() => history.back()}>
            Back
          </button>
          <button
            type="button"
            disabled={page.endCursor === null}
            onClick={() => show({ after: page.endCursor ?? "" })}
          >
            Next page
          </button>
        </div>
      )}
    </section>
  );
}

function addressOf(id: string, { after, model }: Shown): string {
  const search = new URLSearchParams({ ...(model !== "" && { model }), ...(after !== "" && { after }) }).toString();
  return search === "" ? datasetPath(id) : `${datasetPath(id)}?${search}`;
}

function placeOf(rows: readonly StoredRow[], total: number): string {
  const [first, last] = [rows[0], rows.at(-1)];
  if (!first || !last) return formatCounted(total, "row");
  const lines =
    first.line === last.line
      ? `Line ${formatInteger(first.line)}`
      : `Lines ${formatInteger(first.line)} to ${formatInteger(last.line)}`;
  return `${lines}, of ${formatCounted(total, "row")}`;
}

function Reader({ model, onModel }: { model: string; onModel: (model: string) => void }) {
  const { data } = useAnswer(rowReaders, {});
  const names = (data?.baseModels.nodes ?? []).map(({ name }) => name);
  // One that is gone is still in somebody's address.
  const all = model === "" || names.includes(model) ? names : [model, ...names];
  return (
    <label class="reader">
      Shown
      <select value={model} onChange={({ currentTarget }) => onModel(currentTarget.value)}>
        <option value="">as they are stored</option>
        {all.map((name) => (
          <option key={name} value={name} selected={name === model}>
            as {name} sees them
          </option>
        ))}
      </select>
    </label>
  );
}

function StoredRows({ rows }: { rows: readonly StoredRow[] }) {
  return (
    <ol class="stored-rows">
      {rows.map((row) => (
        <li key={row.line} aria-label={`Line ${row.line}`}>
          <span class="line">{formatInteger(row.line)}</span>
          <dl>
            {fieldsOf(row).map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
        </li>
      ))}
    </ol>
  );
}

/** Texts as they are, everything else as JSON. */
function fieldsOf({ text, bytes, cut }: StoredRow): readonly (readonly [string, string])[] {
  if (cut) return [[`The beginning of ${formatBytes(bytes)}`, text]];
  const row: unknown = JSON.parse(text);
  const turns = typeof row === "object" && row !== null && "messages" in row ? turnsOf(row.messages) : [];
  const others = Object.entries(row ?? {}).filter(([name]) => name !== "messages" || turns.length === 0);
  return [...turns, ...others.map(([name, value]) => [name, wordsOf(value)] as const)];
}

function turnsOf(messages: unknown): readonly (readonly [string, string])[] {
  if (!Array.isArray(messages)) return [];
  return messages.map((turn: { role?: unknown; content?: unknown }, index) => [
    `${index + 1}. ${wordsOf(turn.role)}`,
    wordsOf(turn.content ?? turn),
  ]);
}

const wordsOf = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));

function SeenRows({ id, shown: { after, model }, count }: { id: string; shown: Shown; count: number }) {
  const input = { dataset: id, baseModel: model, rows: Math.max(1, count), after: after || null };
  const { data, failure } = useAnswer(seenRows, { input });
  if (failure) return <Problem title={`The rows could not be shown as ${model} sees them`} failure={failure} />;
  if (!data) return <p class="muted">Reading the rows with {model}’s tokenizer…</p>;
  return (
    <>
      <TokensHelp />
      <ol class="stored-rows">
        {data.previewRows.rows.map((row) => (
          <SeenRowItem key={row.line} row={row} />
        ))}
      </ol>
    </>
  );
}

function SeenRowItem({ row }: { row: SeenRow }) {
  const { line, tokens, length, scored, cutTokens, issues } = row;
  return (
    <li aria-label={`Line ${line}`}>
      <span class="line">{formatInteger(line)}</span>
      <div>
        {issues.map(({ message }) => (
          <p key={message} class="bad">
            It cannot be used with this model: {message}
          </p>
        ))}
        <Tokens tokens={tokens} length={length} />
        <small class="muted">
          {formatCounted(length, "token")}, {formatInteger(scored)} scored
          {cutTokens > 0 && `; ${formatCounted(cutTokens, "token")} cut off at the start`}
        </small>
      </div>
    </li>
  );
}
