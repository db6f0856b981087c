/**
 * Runs functions on bytes that somebody else made, such as a dataset or a model's tokenizer, in processes of their own: a
 * file of one kilobyte can make a reader loop for ever, and V8 ends the whole process when a single allocation does not
 * fit into a thread's heap (docs/decisions/0019-sandbox.md). A call ends with an answer, with a limit, when its signal is
 * aborted, or when the sandbox is closed. Processes are kept for the next call.
 */
import { SteplogError } from "../schema/errors.ts";
import { Host, whyAborted } from "./host.ts";
import { isLarge } from "./limits.ts";
import type { Blame, Limits, Outcome, Task } from "./messages.ts";

/** Calls that may wait. */
const mostWaiting = 256;

export interface Work<T extends Task> {
  /** The compiled module that exports the function (`programPath`). */
  readonly file: string;
  readonly name: string;
  readonly input: Parameters<T>[0];
  readonly limits: Limits;
  readonly blame: Blame;
  /** What the call is about: a process that has answered about it is preferred, as it may have kept what it needs. */
  readonly topic?: string;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal?: AbortSignal | undefined;
}

interface Waiting {
  readonly large: boolean;
  start(): void;
}

export class Sandbox {
  readonly #idle: Host[] = [];
  readonly #waiting: Waiting[] = [];
  readonly #closing = new AbortController();
  readonly #places: number;
  readonly #idleMs: number;
  readonly #running = { all: 0, large: 0 };

  /** At most `places` calls run at once. Large ones leave a place to the others. An unused process ends after `idleMs`. */
  constructor({ places = 3, idleMs = 30_000 }: { readonly places?: number; readonly idleMs?: number } = {}) {
    this.#places = places;
    this.#idleMs = idleMs;
  }

  /**
   * Calls the function.
   * @throws what it throws, if that is a SteplogError; `blame.code` for another error or an exceeded limit; UNAVAILABLE when
   *   aborted or closed, or when too many calls wait
   */
  async run<T extends Task>({ signal, topic, ...call }: Work<T>): Promise<Awaited<ReturnType<T>>> {
    const ended = AbortSignal.any([this.#closing.signal, ...(signal ? [signal] : [])]);
    const large = isLarge(call.limits);
    await this.#place(large, ended);
    const host = this.#takeHost(topic);
    try {
      const outcome = await host.call(call, ended);
      return outputOf(outcome) as Awaited<ReturnType<T>>;
    } finally {
      if (host.usable) this.#idle.push(host);
      this.#release(large);
    }
  }

  /** Ends all calls and processes. */
  close(): void {
    this.#closing.abort(new SteplogError("UNAVAILABLE", "Steplog is stopping."));
    for (const host of this.#idle.splice(0)) host.end();
  }

  /** An idle one that knows the topic, any idle one, or a new one. Those that have ended are forgotten. */
  #takeHost(topic: string | undefined): Host {
    const usable = this.#idle.splice(0).filter((host) => host.usable);
    const known = topic === undefined ? -1 : usable.findLastIndex(({ topics }) => topics.has(topic));
    const [host = new Host(this.#idleMs)] = usable.splice(known, 1);
    this.#idle.push(...usable);
    if (topic !== undefined) remember(host.topics, topic);
    return host;
  }

  /** Resolves when the call may start. */
  #place(large: boolean, ended: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (ended.aborted) return reject(whyAborted(ended));
      if (this.#waiting.length >= mostWaiting) {
        return reject(new SteplogError("UNAVAILABLE", "Too many files are being checked. Try again in a minute."));
      }
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(whyAborted(ended));
      };
      const start = () => {
        ended.removeEventListener("abort", leave);
        resolve();
      };
      const waiting: Waiting = { large, start };
      ended.addEventListener("abort", leave, { once: true });
      this.#waiting.push(waiting);
      this.#next();
    });
  }

  #release(large: boolean): void {
    this.#running.all -= 1;
    if (large) this.#running.large -= 1;
    this.#next();
  }

  #next(): void {
    if (this.#running.all >= this.#places) return;
    const room = this.#running.large < Math.max(1, this.#places - 1);
    const index = this.#waiting.findIndex(({ large }) => room || !large);
    const [next] = index < 0 ? [] : this.#waiting.splice(index, 1);
    if (!next) return;
    this.#running.all += 1;
    if (next.large) this.#running.large += 1;
    next.start();
    this.#next();
  }
}

/** Runs `work` with a sandbox of its own. */
export async function inSandbox<T>(work: (sandbox: Sandbox) => Promise<T>): Promise<T> {
  const sandbox = new Sandbox();
  try {
    return await work(sandbox);
  } finally {
    sandbox.close();
  }
}

/** Topics of a process that are remembered. */
const mostTopics = 4;

function remember(topics: Set<string>, topic: string): void {
  topics.delete(topic);
  topics.add(topic);
  for (const oldest of topics) if (topics.size > mostTopics) topics.delete(oldest);
}

function outputOf(outcome: Outcome): unknown {
  if (outcome.type === "done") return outcome.output;
  throw new SteplogError(outcome.code, outcome.message, outcome.issues);
}
