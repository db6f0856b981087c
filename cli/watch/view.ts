/** What `steplog watch` shows: the run's state in one line, its losses as a chart, and what it measured and stored last. */
import { isFinal } from "../../schema/states.ts";
import { formatBytes, formatDuration } from "../../schema/units.ts";
import { inWords } from "../measured.ts";
import type { WatchedRunQuery } from "../operations.ts";
import { lossInWords, progressInWords, statusInWords } from "../runs-in-words.ts";
import { shortId } from "../short-ids.ts";
import { coloursOf, linesOf, type Size, widthOf } from "../terminal.ts";
import { plotted, type Point } from "./plot.ts";

export type WatchedRun = NonNullable<WatchedRunQuery["fineTune"]>;

export interface Watched {
  readonly run: WatchedRun;
  readonly losses: readonly Point[];
  /** The last event's message. */
  readonly happened: string | null;
  /** Seconds since the connection was lost; null while it is there. */
  readonly lostForS: number | null;
}

/** At most `rows` lines: the chart takes what the others leave. Words that are too long for a line go on in the next. */
export function viewOf(watched: Watched, { columns, rows }: Size, unicode: boolean): string[] {
  const above = [title(watched.run), ...stateLines(watched.run, columns, unicode), ...noteLines(watched, columns)];
  const below = [
    ...measuredLines(watched.run, columns),
    ...happenedLines(watched, columns),
    ...footer(watched.run, columns),
  ];
  const height = Math.min(highest, rows - above.length - below.length - 1);
  const chart = chartLines(watched, { columns, rows: height }, unicode);
  return [...above, "", ...chart, ...below].slice(0, rows);
}

const highest = 28;

function title({ name, id, baseModel, dataset }: WatchedRun): string {
  const { bold, dim } = coloursOf();
  return `${bold(name)}  ${shortId(id)}  ${dim(`${baseModel.name} on ${dataset.name}`)}`;
}

/** RUNNING ████░░░ 400/1000 40%   12.3 steps/s   50s left   loss 0.6931 */
function stateLines(run: WatchedRun, columns: number, unicode: boolean): string[] {
  const { progress, estimatedSecondsLeft, queuePosition, loss } = run;
  const words = [
    progressInWords(progress),
    ...(progress.stepsPerSecond === null ? [] : [`${progress.stepsPerSecond.toFixed(1)} steps/s`]),
    ...(queuePosition === null || queuePosition === 0 ? [] : [`${queuePosition} before it`]),
    ...(estimatedSecondsLeft === null ? [] : [`${formatDuration(estimatedSecondsLeft)} left`]),
    ...(loss === null ? [] : [`loss ${lossInWords(loss)}`]),
    ...(progress.skippedSteps === 0 ? [] : [`${progress.skippedSteps} skipped`]),
  ];
  const status = statusInWords(run);
  const room = Math.min(longestBar, columns - widthOf(status) - widthOf(words.join(gap)) - 4);
  if (room < shortestBar) return linesOf([status, ...words], gap, columns);
  return [[status, bar(progress.fraction, room, unicode), words.join(gap)].join("  ")];
}

const gap = "   ";
const [shortestBar, longestBar] = [8, 40];

function bar(fraction: number, width: number, unicode: boolean): string {
  const [full, empty] = unicode ? ["█", "░"] : ["#", "."];
  const done = Math.round(Math.min(1, Math.max(0, fraction)) * width);
  return full.repeat(done) + empty.repeat(width - done);
}

/** Why nothing moves, if nothing does. */
function noteLines({ run, lostForS }: Watched, columns: number): string[] {
  const { yellow } = coloursOf();
  const lost = lostForS === null ? [] : [`No connection to the service for ${formatDuration(lostForS)}. Trying again.`];
  const waits = run.waitingReason === null ? [] : [run.waitingReason];
  const paused = run.status === "PAUSED" ? [`Paused. To go on: steplog resume ${shortId(run.id)}`] : [];
  return [...lost, ...waits, ...paused].flatMap((note) => prose(note, columns)).map(yellow);
}

const prose = (text: string, columns: number) => linesOf(text.split(" "), " ", columns);

function chartLines({ run, losses }: Watched, { columns, rows }: Size, unicode: boolean): string[] {
  const { cyan, magenta, dim } = coloursOf();
  const marks = run.evaluations.flatMap(({ step, loss }) => (loss === null ? [] : [{ x: step, y: loss }]));
  const style = { width: columns, height: rows - 2, unicode, paintLine: cyan, paintMark: magenta };
  const chart = plotted({ line: losses, marks }, style);
  if (chart.length === 0) return [];
  const validation = marks.length === 0 ? "" : `   ${magenta(unicode ? "●" : "o")} validation loss`;
  return [...chart, `${cyan(unicode ? "⠒⠒" : "**")} loss of the training rows${validation}   ${dim("by step")}`, ""];
}

/** How many evaluations and checkpoints are shown. */
const latest = 3;

function measuredLines({ evaluations, bestEvaluation, checkpoints }: WatchedRun, columns: number): string[] {
  const { green, dim } = coloursOf();
  const best = (step: number) => (step === bestEvaluation?.step ? `  ${green("best")}` : "");
  const shown = [
    ...evaluations.slice(-latest).map((one) => `validation  step ${one.step}  ${inWords(one, "row")}${best(one.step)}`),
    ...checkpoints.nodes
      .toReversed()
      .map(
        ({ id, step, logBytes }) => `checkpoint  step ${step}  ${shortId(id)}  ${dim(`log ${formatBytes(logBytes)}`)}`,
      ),
  ].flatMap((line) => prose(line, columns));
  return shown.length === 0 ? [] : [...shown, ""];
}

const happenedLines = ({ happened }: Watched, columns: number) => (happened === null ? [] : prose(happened, columns));

function footer({ status }: WatchedRun, columns: number): string[] {
  const { dim } = coloursOf();
  return isFinal(status) ? [] : prose("Ctrl-C ends this view. The run goes on.", columns).map(dim);
}
