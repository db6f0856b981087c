/** The options by which text is written, and how an answer is asked for and shown as it grows. */
import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import type { Completion, CompletionPiece, CreateCompletionInput, SteplogClient } from "../client/index.ts";
import { limits } from "../schema/limits.ts";
import { integer, number } from "./options.ts";
import { ProgressLine } from "./output.ts";

export interface SamplingOptions {
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly seed?: number;
  readonly stop?: string[];
}

export function addSamplingOptions(command: Command): Command {
  const finite = number((value) => Number.isFinite(value), "Give a number.");
  return command
    .option("--max-tokens <number>", "most tokens to write", integer(1, 1_000_000))
    .option("--temperature <number>", "divide logits by this, 0 to 2; 0 takes the likeliest token", finite)
    .option("--top-k <number>", "sample from this many of the likeliest tokens", integer(1, limits.vocabulary))
    .option("--top-p <share>", "sample from the likeliest tokens whose probabilities sum to this", finite)
    .option("--min-p <share>", "leave out tokens less likely than this share of the likeliest one", finite)
    .option("--repetition-penalty <number>", "divide logits of tokens that were there before by this", finite)
    .option("--seed <number>", "seed of the samples; drawn if left out", integer(0, Number.MAX_SAFE_INTEGER))
    .option("--stop <text...>", "end before one of these texts");
}

interface Asking {
  readonly onPiece: (piece: CompletionPiece) => void;
  /** Ends the answer. */
  readonly signal: AbortSignal;
}

/**
 * Asks, and deletes the answer once it is read: nobody else knows its id. What goes on then ends.
 * @throws the signal's reason; the answer's own error, or the service's
 */
export async function answerTo(
  client: SteplogClient,
  input: CreateCompletionInput,
  { onPiece, signal }: Asking,
): Promise<Completion> {
  const { id } = await client.createCompletion(input);
  const begun = new AbortController();
  const line = new ProgressLine();
  const waiting = sayWhatItWaitsFor(client, id, line, begun.signal);
  try {
    for await (const { piece } of client.completionPieces(id, { signal })) {
      if (!begun.signal.aborted) line.end();
      begun.abort();
      onPiece(piece);
    }
    return await client.completion(id);
  } finally {
    begun.abort();
    await waiting;
    await client.deleteCompletion(id);
  }
}

/** Most answers have begun by then. */
const waitingMs = 1_000;

const stages = { LOADING: "Reading the weights...", REBUILDING: "Rebuilding the weights of the checkpoint..." };

/** Each reason once. */
async function sayWhatItWaitsFor(
  client: SteplogClient,
  id: string,
  line: ProgressLine,
  signal: AbortSignal,
): Promise<void> {
  let said: string | null = null;
  for (;;) {
    await delay(waitingMs, undefined, { signal }).catch(() => {});
    // If the service does not answer, the stream of pieces says so.
    const found = signal.aborted ? null : await client.completion(id).catch(() => null);
    if (signal.aborted) break;
    if (found?.stage) line.show(stages[found.stage]);
    const reason = found?.waitingReason ?? null;
    if (reason !== null && reason !== said) line.note(reason);
    said = reason;
  }
  line.end();
}
