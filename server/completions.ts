/**
 * Asking for text or scores, whichever protocol a request came by: everything that needs no weights is checked first, so that
 * what is refused leaves nothing in the queue. Fields of errors are the request's own, without a prefix.
 */
import { randomInt } from "node:crypto";
import type { Asked, Prompt } from "../dataset/ask.ts";
import type { CompletionProtocol, CompletionTask, GenerateTask, Sampling, ScoreTask } from "../schema/completion.ts";
import { SteplogError } from "../schema/errors.ts";
import { canWrite } from "../schema/model-kind.ts";
import type { Completion } from "../schema/serving-tables.ts";
import type { NewCompletion, WrittenPiece } from "../store/store.ts";
import { counted } from "../schema/units.ts";
import type { ViewerServices } from "./context.ts";
import { isErrorCode } from "./errors.ts";
import { ContextExceeded, tokensOf, type FittingTokens } from "./prompts.ts";
import { idsOf, type Answering } from "./targets.ts";

/** The services, and a signal that says that nobody waits any more. */
export type Asking = ViewerServices & { readonly signal: AbortSignal };

// What is asked

/** Text after prompts. */
export interface WantedText {
  readonly prompts: readonly Asked<Prompt>[];
  /** Null: what fits the context, at most `usualTokens`. */
  readonly maxTokens: number | null;
  readonly usualTokens: number;
  readonly n: number;
  readonly stop: readonly string[];
  readonly logprobs: number | null;
  readonly sampling: Omit<Sampling, "seed">;
  /** Null: drawn. */
  readonly seed: number | null;
  /** Whether the text of each token of the prompts is wanted. */
  readonly texts?: boolean;
}

/** A request whose every part has been checked. */
export interface Checked<T extends CompletionTask = CompletionTask> {
  readonly task: T;
  readonly prompt: readonly number[];
  readonly isSeedDrawn: boolean;
}

/**
 * One task for each prompt.
 * @throws MODEL_UNSUPPORTED for a masked model; ContextExceeded; what `askTokens` throws
 */
export async function checkText(
  asking: Asking,
  answering: Answering,
  wanted: WantedText,
): Promise<{ readonly tasks: readonly Checked<GenerateTask>[]; readonly asked: FittingTokens }> {
  refuseMasked(answering);
  const { context } = answering;
  const named = [{ field: "logitBias", asked: wanted.sampling.logitBias.map(([token]) => token) }];
  const room = context - 1;
  const asked = await tokensOf(promptServices(asking), answering.model, {
    prompts: wanted.prompts,
    words: [],
    room,
    named,
    texts: wanted.texts ?? false,
  });
  const seed = wanted.seed ?? randomInt(2 ** 48 - 1);
  const tasks = asked.prompts.map((prompt, index): Checked<GenerateTask> => {
    const field = wanted.prompts[index]?.field ?? "prompt";
    const maxTokens = wanted.maxTokens ?? Math.min(wanted.usualTokens, context - prompt.length);
    refuseLong(field, prompt.length, maxTokens, context);
    const { n, stop, logprobs, sampling } = wanted;
    const task = { kind: "GENERATE" as const, maxTokens, n, stop, logprobs, sampling: { ...sampling, seed } };
    return { task, prompt, isSeedDrawn: wanted.seed === null };
  });
  return { tasks, asked };
}

function refuseLong(field: string, prompt: number, maxTokens: number, context: number): void {
  if (prompt + maxTokens <= context) return;
  const seen = `has ${counted(prompt, "token")}, and ${counted(maxTokens, "token")} may follow`;
  throw new ContextExceeded(field, `${seen}, but the model's context has room for ${context}`);
}

/** A masked model fills gaps; it has no next token. */
function refuseMasked({ model }: Answering): void {
  if (canWrite(model)) return;
  const message = `${model.name} is a masked language model (${model.family}), which cannot write. Name a causal one.`;
  throw new SteplogError("MODEL_UNSUPPORTED", message, [{ field: "model", message }]);
}

/** A choice among labels after one prompt each. */
export interface WantedChoice {
  readonly prompts: readonly Asked<Prompt>[];
  readonly labels: readonly string[];
  readonly calibrationPrompt: string | null;
}

/** One task for each prompt: its rows are the labels, then the labels after the calibration prompt. @throws as `checkText` */
export async function checkChoice(
  asking: Asking,
  answering: Answering,
  { prompts, labels, calibrationPrompt }: WantedChoice,
): Promise<readonly Checked<ScoreTask>[]> {
  refuseMasked(answering);
  const neutral =
    calibrationPrompt === null ? [] : [{ field: "calibrationPrompt", asked: { text: calibrationPrompt } }];
  const every = [...prompts, ...neutral];
  const asked = await tokensOf(promptServices(asking), answering.model, {
    prompts: every,
    words: labels.map((label, index) => ({ field: `labels.${index}`, asked: label })),
    room: answering.context - 1,
    named: [],
    texts: false,
  });
  const after = (index: number) =>
    asked.words.map((completion) => {
      const prompt = asked.prompts[index] ?? [];
      refuseLong(every[index]?.field ?? "prompt", prompt.length, completion.length, answering.context);
      return { prompt, completion };
    });
  const calibration = calibrationPrompt === null ? [] : after(prompts.length);
  return prompts.map((_, index) => ({
    task: {
      kind: "SCORE",
      rows: [...after(index), ...calibration],
      logprobs: null,
      labels: { words: labels, isCalibrated: calibrationPrompt !== null },
    },
    prompt: [],
    isSeedDrawn: false,
  }));
}

/** Texts whose tokens are scored after their prompts. */
export interface WantedScores {
  readonly rows: readonly { readonly prompt: Asked<Prompt>; readonly completion: Asked<string> }[];
}

/** @throws as `checkText` */
export async function checkScores(
  asking: Asking,
  answering: Answering,
  { rows }: WantedScores,
): Promise<Checked<ScoreTask>> {
  refuseMasked(answering);
  const asked = await tokensOf(promptServices(asking), answering.model, {
    prompts: rows.map(({ prompt }) => prompt),
    words: rows.map(({ completion }) => completion),
    room: answering.context - 1,
    named: [],
    texts: false,
  });
  const scored = rows.map(({ prompt: { field } }, index) => {
    const [prompt = [], completion = []] = [asked.prompts[index], asked.words[index]];
    refuseLong(field, prompt.length, completion.length, answering.context);
    return { prompt, completion };
  });
  return { task: { kind: "SCORE", rows: scored, logprobs: null, labels: null }, prompt: [], isSeedDrawn: false };
}

function promptServices({ store, completions, modelsDir, signal }: Asking) {
  return { store, sandbox: completions.sandbox, modelsDir, signal };
}

// Asking for it

export interface AskOptions {
  readonly protocol: CompletionProtocol;
  readonly idempotencyKey: string | null;
  /** Whether somebody waits for the answer: then it ends when they have gone. */
  readonly isAttended: boolean;
  /** When it is deleted; left out, as the project or the operator says. */
  readonly expiry?: NewCompletion["expiry"];
}

/**
 * Queues a checked request, or finds the first one of its key.
 * @throws UNAVAILABLE when no live worker could answer it, with what they lack; BUSY; CONFLICT; NOT_FOUND
 */
export async function ask(
  { store, completions }: ViewerServices,
  answering: Answering,
  { task, prompt, isSeedDrawn }: Checked,
  { protocol, idempotencyKey, isAttended, expiry = null }: AskOptions,
): Promise<{ readonly completion: Completion; readonly created: boolean }> {
  const target = idsOf(answering);
  const { queueLimit, waitMs, keepMs } = completions;
  const { alias } = answering;
  const its = { ...target, idempotencyKey, protocol, alias, task, isSeedDrawn, prompt, isAttended, needsWorker: true };
  return store.completions.create({ ...its, queueLimit, waitMs, keepMs, expiry });
}

/**
 * Asks, hands the pieces to `take` as they come, and returns the completion once it has succeeded. Whatever happens, nothing is
 * left in the queue, and the row goes unless `keep` says otherwise.
 * @throws its error if it failed; UNAVAILABLE if it was cancelled, or nobody waits any more
 */
export async function attended(
  asking: Asking,
  answering: Answering,
  checked: Checked,
  { protocol, keep }: { readonly protocol: CompletionProtocol; readonly keep: boolean },
  take: (piece: WrittenPiece, id: string) => Promise<void> | void = () => {},
): Promise<Completion> {
  const { store, completions, signal } = asking;
  refuseGone(signal);
  const { completion } = await ask(asking, answering, checked, { protocol, idempotencyKey: null, isAttended: true });
  const { id } = completion;
  const leave = completions.attention.join(id);
  let whole = false;
  try {
    for await (const piece of store.feed.pieces(id, { after: 0, signal })) await take(piece, id);
    refuseGone(signal);
    const ended = succeeded(await store.completions.get(id));
    whole = true;
    return ended;
  } finally {
    leave();
    if (!keep || !whole) await forget(asking, id);
  }
}

/** All at once; the first failure ends the others. */
export async function together<T, R>(
  asking: Asking,
  items: readonly T[],
  work: (asking: Asking, item: T) => Promise<R>,
): Promise<R[]> {
  const failed = new AbortController();
  const each = { ...asking, signal: AbortSignal.any([asking.signal, failed.signal]) };
  const running = items.map((item) => work(each, item));
  try {
    return await Promise.all(running);
  } finally {
    failed.abort();
    await Promise.allSettled(running);
  }
}

function refuseGone(signal: AbortSignal): void {
  if (signal.aborted) throw new SteplogError("UNAVAILABLE", "Nobody waits for the answer any more.");
}

/** A row that cannot be deleted now expires; the answer, or the error, comes first. */
async function forget({ store, log }: Asking, id: string): Promise<void> {
  await store.completions.discard(id).catch((error: unknown) => {
    log.warn({ err: error, completion: id }, "a completion was not deleted");
  });
}

/** Why a worker could not answer. */
export class NotAnswered extends SteplogError {}

/** @throws NotAnswered, and as `attended` */
export function succeeded(completion: Completion | null): Completion {
  if (!completion) throw new SteplogError("UNAVAILABLE", "The request was deleted before it was answered.");
  const failure = failureOf(completion);
  if (failure) throw new NotAnswered(failure.code, failure.message, failure.issues);
  if (completion.status === "SUCCEEDED") return completion;
  throw new SteplogError("UNAVAILABLE", "The request was cancelled before it was answered.");
}

/** Why it failed; null unless it did. An unknown code, written by a newer worker, is shown as INTERNAL. */
export function failureOf({
  errorCode,
  errorMessage,
  errorIssues,
}: Pick<Completion, "errorCode" | "errorMessage" | "errorIssues">) {
  if (errorCode === null) return null;
  const code = isErrorCode(errorCode) ? errorCode : "INTERNAL";
  return { code, message: errorMessage ?? "", issues: errorIssues ?? [] };
}
