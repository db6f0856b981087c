/** steplog ls evaluations [RUN]: those that somebody asked for, of the project or of the checkpoints of a run. */
import { listedEvaluations, listedEvaluationsOfRun, type ListedEvaluationsQuery } from "../operations.ts";
import { printTable } from "../output.ts";
import { type PageOptions, type ReadPage, afterOf, byShortId, pages, printPage } from "../pages.ts";
import type { Remote } from "../remote.ts";
import { bestInWords, lossInWords, timeInWords } from "../runs-in-words.ts";
import { idOf, runGone, runOf, shortId } from "../short-ids.ts";

type Evaluation = ListedEvaluationsQuery["modelEvaluations"]["nodes"][number];

export async function listEvaluations(
  { client }: Remote,
  run: string | undefined,
  options: PageOptions & { readonly json?: true },
): Promise<void> {
  const id = run === undefined ? null : await runOf(client, run);
  const read: ReadPage<Evaluation> = async (page) => {
    if (id === null) return (await client.query(listedEvaluations, page)).modelEvaluations;
    const { fineTune } = await client.query(listedEvaluationsOfRun, { id, ...page });
    if (fineTune) return fineTune.modelEvaluations;
    throw runGone(run ?? id);
  };
  const after = await afterOf(options, (given) => idOf(client, "EVALUATION", given));
  printPage(await pages(options, after, read), options, {
    noun: "evaluations",
    nameOf: byShortId,
    none: "There are no such evaluations. Ask for one: steplog evaluate MODEL --dataset WHAT",
    printRows: (evaluations) => printTable(headings, evaluations.map(cellsOf), 1),
  });
}

const headings = ["ID", "MODEL", "DATASET", "STATUS", "LOSS", "BEST", "CREATED"];

function cellsOf(evaluation: Evaluation): string[] {
  const { id, baseModel, checkpoint, dataset, status, loss, createdAt } = evaluation;
  const model = checkpoint ? `${shortId(checkpoint.id)} (step ${checkpoint.step})` : baseModel.name;
  const best = status === "SUCCEEDED" ? bestInWords(evaluation) : "-";
  return [shortId(id), model, dataset.name, status, lossInWords(loss), best, timeInWords(createdAt)];
}
