/**
 * A process of the service that `steplog start` runs. It has its own process group, so that Ctrl-C reaches this process alone,
 * which stops it. One that exits unexpectedly is restarted, or `onFailure` is called. One with `rest` may exit with 0 because it
 * has nothing to do: then it starts again once `rest` returns.
 */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { SteplogError } from "../schema/errors.ts";
import { programPath } from "../schema/package.ts";

const command = programPath("cli/steplog");
const restartMs = 1_000;
/** A child that has not stopped after this time is killed. */
const stopMs = 10_000;

export interface ChildOptions {
  /** Where it logs: a file descriptor, or this process' stderr. */
  readonly logTo: number | "inherit";
  /** Whether to restart one that exits; otherwise `onFailure` is called. */
  readonly restart: boolean;
  readonly onFailure?: (error: SteplogError) => void;
  /** Returns when a child that had nothing to do is to start again; never after the signal. */
  readonly rest?: (signal: AbortSignal) => Promise<void>;
}

/** What it says when it is ready. */
interface Ready {
  readonly url?: string;
  readonly device?: string;
}

export class Child {
  arguments: readonly string[];
  readonly ready: Promise<Ready>;
  readonly #env: NodeJS.ProcessEnv;
  readonly #options: ChildOptions;
  readonly #stopping = new AbortController();
  #process: ChildProcess;
  #restart: NodeJS.Timeout | undefined;

  constructor(args: readonly string[], env: NodeJS.ProcessEnv, options: ChildOptions) {
    this.arguments = args;
    this.#env = env;
    this.#options = options;
    this.#process = this.#spawn();
    this.ready = this.#whenReady();
  }

  #spawn(): ChildProcess {
    const { logTo } = this.#options;
    const child = spawn(process.execPath, [command, ...this.arguments], {
      env: this.#env,
      detached: true,
      stdio: ["ignore", logTo, logTo, "ipc"],
    });
    child.on("exit", (code, signal) => this.#exited(code ?? signal ?? "unknown"));
    return child;
  }

  async #whenReady(): Promise<Ready> {
    const child = this.#process;
    const gone = once(child, "exit").then(() => {
      throw new SteplogError(
        "UNAVAILABLE",
        `The ${this.arguments[0]} exited before it was ready; its log explains why.`,
      );
    });
    const message = once(child, "message").then(([value]) => value as Ready);
    return Promise.race([message, gone]);
  }

  #exited(status: number | string): void {
    const { restart, onFailure, rest } = this.#options;
    const { signal } = this.#stopping;
    if (signal.aborted) return;
    if (status === 0 && rest) {
      void rest(signal).then(() => {
        if (!signal.aborted) this.#process = this.#spawn();
      });
    } else if (restart) {
      process.stderr.write(`The ${this.arguments[0]} exited unexpectedly (${status}); restarting it.\n`);
      this.#restart = setTimeout(() => (this.#process = this.#spawn()), restartMs);
    } else {
      onFailure?.(new SteplogError("UNAVAILABLE", `The ${this.arguments[0]} exited unexpectedly (${status}).`));
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#restart);
    const child = this.#process;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGTERM");
    const impatient = setTimeout(() => child.kill("SIGKILL"), stopMs);
    await exited;
    clearTimeout(impatient);
  }
}
