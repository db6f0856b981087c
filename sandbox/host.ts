/** A process that runs one call at a time, seen from the process that started it. */
import type { ChildProcess } from "node:child_process";
import { fork } from "node:child_process";
import { SteplogError } from "../schema/errors.ts";
import { programPath } from "../schema/package.ts";
import type { Answer, Call, Outcome } from "./messages.ts";
import { failedOf } from "./messages.ts";

/** The process keeps to the limits itself. If it does not answer for this much longer, start included, it is killed. */
const graceMs = 120_000;
export class Host {
  readonly #child: ChildProcess;
  readonly #idleMs: number;
  /** What the last calls were about, so that a call about the same finds what they have kept in memory. */
  readonly topics = new Set<string>();
  #ended = false;
  #idle: NodeJS.Timeout | undefined;

  /** @param idleMs an unused process ends after this */
  constructor(idleMs: number) {
    this.#idleMs = idleMs;
    // Foreign bytes need nothing of the environment, which holds passwords.
    this.#child = fork(programPath("sandbox/process"), {
      env: {},
      execArgv: [],
      serialization: "advanced",
      // V8 writes pages about an allocation that failed.
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    this.#child.on("error", () => this.end());
    this.#child.on("exit", () => (this.#ended = true));
    this.#hold(false);
  }

  get usable(): boolean {
    return !this.#ended && this.#child.connected;
  }

  /** The outcome of the call. When it is aborted, the process is killed. @throws UNAVAILABLE when aborted */
  call(call: Call, signal: AbortSignal): Promise<Outcome> {
    clearTimeout(this.#idle);
    this.#hold(true);
    return new Promise<Outcome>((resolve, reject) => {
      const child = this.#child;
      const settle = (then: () => void) => {
        clearTimeout(late);
        signal.removeEventListener("abort", abort);
        child.off("message", take).off("exit", exit);
        this.#hold(false);
        if (!this.#ended) this.#idle = setTimeout(() => this.end(), this.#idleMs).unref();
        then();
      };
      const abort = () => {
        this.end();
        settle(() => reject(whyAborted(signal)));
      };
      const take = ({ outcome, reusable }: Answer) => {
        if (!reusable) this.end();
        settle(() => resolve(outcome));
      };
      const exit = (code: number | null, killed: string | null) =>
        settle(() => resolve(crash(call, killed ?? `exit status ${code}`)));
      const late = setTimeout(() => this.end(), call.limits.totalMs + graceMs);
      child.on("message", take).on("exit", exit);
      signal.addEventListener("abort", abort, { once: true });
      if (signal.aborted) abort();
      else child.send(call, (error) => error && this.end());
    });
  }

  /** Ends the process at once. */
  end(): void {
    this.#ended = true;
    clearTimeout(this.#idle);
    this.#child.kill("SIGKILL");
  }

  /** Whether the process keeps this one from ending. */
  #hold(held: boolean): void {
    const { channel } = this.#child;
    if (held) {
      this.#child.ref();
      channel?.ref();
    } else {
      this.#child.unref();
      channel?.unref();
    }
  }
}

/** Why a call was aborted. */
export function whyAborted({ reason }: AbortSignal): SteplogError {
  return reason instanceof SteplogError ? reason : new SteplogError("UNAVAILABLE", "Nobody waits for the answer.");
}

/** V8 aborts a process when an allocation does not fit, and the system kills one when memory is short. */
function crash({ blame }: Call, end: string): Outcome {
  const why = `its process ended (${end}), most likely because it needs more memory than allowed`;
  return failedOf(blame, `${blame.doing} was given up: ${why}.`);
}
