/** steplog ls exports RUN: the weights of its checkpoints in other forms, those of the latest checkpoint first. */
import { outputDtypes } from "../../schema/output-dtype.ts";
import { formatBytes } from "../../schema/units.ts";
import { formName } from "../../schema/weights-form.ts";
import { listedExports, type ListedExportsQuery } from "../operations.ts";
import { printTable } from "../output.ts";
import { type PageOptions, allOf, cutFrom, pages, printPage } from "../pages.ts";
import type { Remote } from "../remote.ts";
import { timeInWords } from "../runs-in-words.ts";
import { partsOf, runGone, runOf, shortId } from "../short-ids.ts";

type Listed = NonNullable<ListedExportsQuery["fineTune"]>["checkpoints"]["nodes"][number];

/** One form of one checkpoint. */
type Export = Listed["exports"][number] & {
  /** Id and step of the checkpoint. */
  readonly checkpoint: string;
  readonly step: number;
  /** As links name it: "merged", "float16", "merged-float16". */
  readonly form: string;
};

export async function listExports(
  { client }: Remote,
  run: string,
  options: PageOptions & { readonly json?: true },
): Promise<void> {
  const id = await runOf(client, run);
  const checkpoints = await allOf(async ({ first, after }) => {
    const { fineTune } = await client.query(listedExports, { id, first, after });
    if (fineTune) return fineTune.checkpoints;
    throw runGone(run);
  });
  const all = checkpoints.flatMap(exportsOf);
  const listed = await pages(options, options.after ?? null, async (page) => cutFrom(all, page, cursorOf, isNamed));
  printPage(listed, options, {
    noun: "exports",
    nameOf: ({ checkpoint, form }) => `${shortId(checkpoint)}/${form}`,
    none: "This run has no exports. Make one: steplog rebuild CHECKPOINT --merged, or --dtype FORMAT",
    printRows: (exports) => printTable(headings, exports.map(cellsOf), 1),
  });
}

const headings = ["CHECKPOINT", "STEP", "FORM", "STATUS", "SIZE", "ASKED FOR", "ENDS"];

function exportsOf({ id, step, exports }: Listed): Export[] {
  return exports.map((one) => ({ checkpoint: id, step, form: formOf(one), ...one }));
}

/** The API has dtypes in upper case. */
function formOf({ merged, dtype }: Pick<Export, "merged" | "dtype">): string {
  return formName({ merged, dtype: outputDtypes.find((one) => one.toUpperCase() === dtype) ?? null });
}

const cursorOf = ({ checkpoint, form }: Export) => `${partsOf(checkpoint)?.uuid ?? checkpoint}/${form}`;

function isNamed(one: Export, name: string): boolean {
  const [id = "", form] = name.split("/");
  return one.form === form && cursorOf(one).startsWith(id);
}

function cellsOf({ checkpoint, step, form, status, bytes, createdAt, expiresAt }: Export): string[] {
  const size = bytes === null ? "-" : formatBytes(bytes);
  return [shortId(checkpoint), String(step), form, status, size, timeInWords(createdAt), timeInWords(expiresAt)];
}
