/** steplog sweeps show SWEEP: its runs with the settings that vary, the best first. */
import type { Command } from "commander";
import { scoresOf } from "../../schema/best-evaluation.ts";
import { SteplogError } from "../../schema/errors.ts";
import { sweepArgument } from "../completion/names.ts";
import { shownSweep, type ShownSweepQuery } from "../operations.ts";
import { urlOption } from "../options.ts";
import { print, printJson, printTable } from "../output.ts";
import { withService } from "../remote.ts";
import { bestInWords, lossInWords, progressInWords, statusInWords, timeInWords } from "../runs-in-words.ts";
import { idOf, shortId } from "../short-ids.ts";
import { passesInWords, runsInWords } from "../sweeps-in-words.ts";
import { coloursOf } from "../terminal.ts";

export function define(command: Command): void {
  command
    .description("Show a sweep: its runs with the settings that vary, the best first.")
    .addArgument(sweepArgument())
    .addOption(urlOption())
    .option("--json", "print the sweep as one JSON object")
    .addHelpText("after", "\nExample:\n  steplog sweeps show rates")
    .action(show);
}

type Sweep = NonNullable<ShownSweepQuery["sweep"]>;
type Run = Sweep["runs"][number];

async function show(given: string, { url, json }: { readonly url: string; readonly json?: true }): Promise<void> {
  await withService(url, async ({ client }) => {
    const { sweep } = await client.query(shownSweep, { id: await idOf(client, "SWEEP", given) });
    if (!sweep) throw new SteplogError("NOT_FOUND", `There is no sweep ${given} any more.`);
    const runs = bestFirst(sweep.runs);
    if (json) return printJson({ ...sweep, runs });
    print(`${coloursOf().bold(sweep.name)}  ${shortId(sweep.id)}`);
    print(`  runs       ${runsInWords(sweep.statuses)}`);
    print(`  passes     ${passesInWords(sweep.passes)} for all of their steps`);
    print(`  created    ${timeInWords(sweep.createdAt)}`);
    print(`  id         ${sweep.id}`);
    if (runs.length === 0) return;
    print("");
    printTable(["RUN", ...sweep.varied, "BEST", "AT STEP", "LOSS", "STATUS", "STEPS"], runs.map(rowOf(sweep.varied)));
    print("\nTo see a run: steplog show RUN");
  });
}

/** By score, or by loss where none has a score; those that have measured nothing come last. */
function bestFirst(runs: readonly Run[]): Run[] {
  const scored = runs.some((run) => scoreOf(run) !== null);
  const worth = (run: Run) => {
    const loss = run.bestEvaluation?.loss;
    return (scored ? scoreOf(run) : loss == null ? null : -loss) ?? -Infinity;
  };
  return runs.toSorted((a, b) => (worth(a) === worth(b) ? 0 : worth(b) - worth(a)));
}

function scoreOf({ bestEvaluation: best, hyperparameters }: Run): number | null {
  const names = scoresOf[hyperparameters.bestMetric];
  return (best && names.map((name) => best[name]).find((value) => value !== null)) ?? null;
}

function rowOf(varied: readonly string[]) {
  return ({ id, hyperparameters, bestEvaluation: best, loss, progress, ...run }: Run): string[] => {
    const settings: Readonly<Record<string, unknown>> = { ...hyperparameters };
    const values = varied.map((name) => asText(settings[name]));
    const measured = [bestInWords(best), best ? String(best.step) : "-", lossInWords(loss)];
    return [shortId(id), ...values, ...measured, statusInWords(run), progressInWords(progress)];
  };
}

const asText = (value: unknown) => (Array.isArray(value) ? value.join(" ") : String(value));
