/** Following a fine-tune to its end: its steps as a line of progress, then its outcome. */
import type { FineTuneStatus } from "../schema/states.ts";
import type { InputIssue } from "../schema/errors.ts";
import type { Client } from "../client/client.ts";
import { ProgressLine } from "./output.ts";
import { formatDuration } from "../schema/units.ts";

/** Steps over which the rate is measured. */
const rateWindow = 50;

export interface Outcome {
  readonly id: string;
  readonly status: FineTuneStatus;
  readonly device: string | null;
  readonly error: { code: string; message: string; issues: readonly InputIssue[] } | null;
  readonly progress: { readonly step: number; readonly skippedSteps: number; readonly zeroSteps: number };
  readonly pickedRate: number | null;
  readonly evaluations: readonly OutcomeEvaluation[];
  readonly inContext: readonly OutcomeEvaluation[];
  readonly probes: readonly OutcomeEvaluation[];
  readonly tests: readonly OutcomeEvaluation[];
  readonly bestEvaluation: OutcomeEvaluation | null;
  readonly checkpoints: { readonly nodes: readonly OutcomeCheckpoint[] };
}

export interface OutcomeEvaluation {
  readonly step: number;
  readonly rows: number;
  readonly loss: number;
  readonly accuracy: number | null;
  readonly f1: number | null;
  readonly exactMatch: number | null;
}

export interface OutcomeCheckpoint {
  readonly id: string;
  readonly entries: number;
  readonly chainHash: string;
  readonly weightsDigest: string;
  readonly weightsUrl: string | null;
  readonly weightsBytes: number | null;
  readonly logUrl: string;
  readonly logBytes: number;
}

const outcomeQuery = `query ($id: ID!) {
  fineTune(id: $id) {
    id status device error { code message issues { line field message } }
    progress { step skippedSteps zeroSteps }
    pickedRate
    evaluations { step rows loss accuracy f1 exactMatch }
    inContext: evaluations(kind: IN_CONTEXT) { step rows loss accuracy f1 exactMatch }
    probes: evaluations(kind: LINEAR_PROBE) { step rows loss accuracy f1 exactMatch }
    tests: evaluations(kind: TEST) { step rows loss accuracy f1 exactMatch }
    bestEvaluation { step rows loss accuracy f1 exactMatch }
    checkpoints(first: 1) {
      nodes { id entries chainHash weightsDigest weightsUrl weightsBytes logUrl logBytes }
    }
  }
}`;

export async function outcomeOf(client: Client, id: string): Promise<Outcome> {
  const { fineTune } = await client.query<{ fineTune: Outcome }>(outcomeQuery, { id });
  return fineTune;
}

/** Shows every step until the run has ended. */
export async function follow(client: Client, id: string, steps: number): Promise<Outcome> {
  const line = new ProgressLine();
  const arrivals: { step: number; at: number }[] = [];
  let smoothed: number | null = null;
  for await (const { step } of client.steps(id)) {
    arrivals.push({ step: step.step, at: performance.now() });
    if (arrivals.length > rateWindow) arrivals.shift();
    if (step.loss !== null) smoothed = smoothed === null ? step.loss : smoothed + 0.1 * (step.loss - smoothed);
    line.show(describe(step.step, steps, smoothed, rateOf(arrivals)));
  }
  line.end();
  return outcomeOf(client, id);
}

/** Steps a second over the window. */
function rateOf(arrivals: readonly { step: number; at: number }[]): number | null {
  const [first, last] = [arrivals[0], arrivals.at(-1)];
  if (!first || !last || last.at === first.at) return null;
  return (1000 * (last.step - first.step)) / (last.at - first.at);
}

function describe(step: number, steps: number, loss: number | null, rate: number | null): string {
  const width = String(steps).length;
  const parts = [`step ${String(step).padStart(width)}/${steps}`, `loss ${loss === null ? "-" : loss.toFixed(4)}`];
  if (rate !== null) parts.push(`${rate.toFixed(1)} steps/s`, `ETA ${formatDuration((steps - step) / rate)}`);
  return parts.join("   ");
}
