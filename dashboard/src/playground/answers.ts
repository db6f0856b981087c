/**
 * Asking one model, and its answer as it comes. A text is a completion that is read piece by piece and deleted once it has been
 * read, so that nothing of it stays on the service; labels come with their request and are never kept.
 */
import type { Classification } from "../../../client/browser.ts";
import type { ClassifyInput, CreateCompletionInput, FinishReason } from "../../../client/schema-types.ts";
import { client } from "../api/client.ts";
import { asFailure, quietly, type Failure } from "../api/failure.ts";
import { formatInteger } from "../format.ts";

export interface Answer {
  readonly status: "ASKING" | "WRITING" | "DONE" | "STOPPED" | "FAILED";
  /** Of the completion, while there is one. */
  readonly id: string | null;
  /** Of the last piece that was read. */
  readonly cursor: number;
  readonly text: string;
  readonly tokens: number;
  readonly finish: FinishReason | null;
  /** Why there is no token yet. */
  readonly waiting: string | null;
  /** When it was asked, when its first tokens came and how many, and when its last ones did; milliseconds. */
  readonly askedAt: number;
  readonly firstAt: number | null;
  readonly firstTokens: number;
  readonly lastAt: number | null;
  readonly seed: number | null;
  readonly labels: Classification | null;
  readonly failure: Failure | null;
}

export type Asked =
  | { readonly kind: "WRITE"; readonly input: CreateCompletionInput }
  | { readonly kind: "CHOOSE"; readonly input: ClassifyInput };

type Put = (change: (before: Answer | undefined) => Answer) => void;

export const isGoing = ({ status }: Answer) => status === "ASKING" || status === "WRITING";

export const asking = (): Answer => ({
  status: "ASKING",
  id: null,
  cursor: 0,
  text: "",
  tokens: 0,
  finish: null,
  waiting: null,
  askedAt: Date.now(),
  firstAt: null,
  firstTokens: 0,
  lastAt: null,
  seed: null,
  labels: null,
  failure: null,
});

/** Never throws: what goes wrong is in the answer. */
export async function answer(asked: Asked, put: Put, signal: AbortSignal): Promise<void> {
  put(asking);
  const change = (part: Partial<Answer>) => put((before) => ({ ...(before ?? asking()), ...part }));
  try {
    if (asked.kind === "CHOOSE") {
      const [labels = null] = await client.classify(asked.input);
      if (!signal.aborted) change({ status: "DONE", labels, lastAt: Date.now() });
      return;
    }
    const { id, seed } = await client.createCompletion(asked.input);
    if (signal.aborted) return forget(id);
    change({ id, seed });
    await readOn({ id, cursor: 0 }, put, signal);
  } catch (error) {
    if (!signal.aborted) change({ status: "FAILED", failure: plain(asFailure(error)) });
  }
}

/** Reads a completion to its end, from a cursor: also one that was being written when the page was loaded anew. */
export async function readOn(
  { id, cursor }: { readonly id: string; readonly cursor: number },
  put: Put,
  signal: AbortSignal,
): Promise<void> {
  const change = (part: Partial<Answer>) => put((before) => ({ ...(before ?? asking()), ...part }));
  const watching = watch(id, (waiting) => change({ waiting }));
  try {
    for await (const { cursor: at, piece } of client.completionPieces(id, { after: cursor, signal })) {
      clearInterval(watching);
      put((before = asking()) => ({
        ...before,
        status: "WRITING",
        waiting: null,
        cursor: at,
        text: before.text + piece.text,
        tokens: before.tokens + piece.tokens.length,
        finish: piece.finishReason,
        firstAt: before.firstAt ?? Date.now(),
        firstTokens: before.firstAt === null ? piece.tokens.length : before.firstTokens,
        lastAt: Date.now(),
      }));
    }
    const { status } = await client.completion(id);
    change({ status: status === "CANCELLED" ? "STOPPED" : "DONE", id: null, waiting: null });
  } catch (error) {
    if (!signal.aborted) change({ status: "FAILED", id: null, waiting: null, failure: plain(asFailure(error)) });
  } finally {
    clearInterval(watching);
    forget(id);
  }
}

const watchMs = 1_000;

/** Says why there is no token yet, until it is stopped. */
function watch(id: string, say: (why: string | null) => void): ReturnType<typeof setInterval> {
  const stages = { LOADING: "Reading the weights…", REBUILDING: "Rebuilding the weights from the log…" };
  const look = async () => {
    const { stage, waitingReason, status, firstTokenAt } = await client.completion(id);
    if (firstTokenAt === null)
      say(stage ? stages[stage] : (waitingReason ?? (status === "QUEUED" ? "Waiting for a worker…" : null)));
  };
  return setInterval(() => void look().catch(quietly), watchMs);
}

/** Ends it too, if it is still being written. What cannot be deleted now expires. */
function forget(id: string): void {
  client.deleteCompletion(id).catch(quietly);
}

/** As it can be kept in the tab. */
const plain = ({ code, message, issues }: Failure): Failure => ({ code, message, issues: [...issues] });

/** "first token after 0.21 s", "34 tokens", "81 tokens per second". */
export function figuresOf({ askedAt, firstAt, firstTokens, lastAt, tokens, labels }: Answer): readonly string[] {
  const after = (ms: number) => `${((ms - askedAt) / 1_000).toFixed(2)} s`;
  if (labels && lastAt !== null) return [`after ${after(lastAt)}`];
  if (firstAt === null || lastAt === null) return [];
  const speed = lastAt > firstAt ? ((tokens - firstTokens) * 1_000) / (lastAt - firstAt) : 0;
  return [
    `first token after ${after(firstAt)}`,
    `${formatInteger(tokens)} ${tokens === 1 ? "token" : "tokens"}`,
    ...(speed > 0 ? [`${speed < 10 ? speed.toFixed(1) : formatInteger(speed)} tokens per second`] : []),
  ];
}
