/**
 * A process of the service that `steplog start` runs. It has its own process group, so that Ctrl-C reaches this process alone,
 * which stops it. One that was ready and exits unexpectedly is restarted, or `onFailure` is called: always, if it says that it
 * would fail again, since its device or its settings cannot be used. One with `rest` may exit with 0 because it has nothing to
 * do: then it starts again once `rest` returns.
 */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type ErrorCode, SteplogError } from "../schema/errors.ts";
import { programPath } from "../schema/package.ts";

const command = programPath("cli/steplog");
const restartMs = 1_000;
/** A child that has not stopped after this time is killed. */
const stopMs = 10_000;

export interface ChildOptions {
  /** Where it logs: a file descriptor, or this process' stderr. */
  readonly logTo: number | "inherit";
  /** Whether to restart one that exits, if that may help; otherwise `onFailure` is called. */
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

/** What it says before it ends for an error that it has explained (`reportError` of exit.ts). */
export interface ToldFailure {
  readonly type: "failed";
  readonly code: ErrorCode;
  readonly message: string;
}

type Told = (Ready & { readonly type: "ready" }) | ToldFailure;

/** Errors that the next start would meet, too. */
const lasting: ReadonlySet<ErrorCode> = new Set(["DEVICE_UNAVAILABLE", "INVALID_ARGUMENT"]);

export class Child {
  arguments: readonly string[];
  readonly ready: Promise<Ready>;
  readonly #env: NodeJS.ProcessEnv;
  readonly #options: ChildOptions;
  readonly #stopping = new AbortController();
  #process: ChildProcess;
  #restart: NodeJS.Timeout | undefined;
  #wasReady = false;
  /** What the process said before it ended. */
  #failed: ToldFailure | null = null;

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
    this.#failed = null;
    child.on("message", (told: Told) => (this.#failed = told.type === "failed" ? told : null));
    child.on("exit", (code, signal) => void heard(child).then(() => this.#exited(code ?? signal ?? "unknown")));
    return child;
  }

  async #whenReady(): Promise<Ready> {
    const child = this.#process;
    const gone = once(child, "exit").then(async () => {
      await heard(child);
      throw this.#failure("exited before it was ready; its log explains why.");
    });
    const message = new Promise<Ready>((resolve) =>
      child.on("message", (told: Told) => told.type === "ready" && resolve(told)),
    );
    const ready = await Promise.race([message, gone]);
    this.#wasReady = true;
    return ready;
  }

  #failure(otherwise: string): SteplogError {
    const { code, message } = this.#failed ?? { code: "UNAVAILABLE", message: null };
    const name = this.arguments[0];
    return new SteplogError(code, message === null ? `The ${name} ${otherwise}` : `The ${name} has ended: ${message}`);
  }

  #exited(status: number | string): void {
    const { restart, onFailure, rest } = this.#options;
    const { signal } = this.#stopping;
    // Before it was ready, whoever waits for that is told.
    if (signal.aborted || !this.#wasReady) return;
    const mayHelp = !this.#failed || !lasting.has(this.#failed.code);
    if (status === 0 && rest) {
      void rest(signal).then(() => {
        if (!signal.aborted) this.#process = this.#spawn();
      });
    } else if (restart && mayHelp) {
      process.stderr.write(`The ${this.arguments[0]} exited unexpectedly (${status}); restarting it.\n`);
      this.#restart = setTimeout(() => (this.#process = this.#spawn()), restartMs);
    } else {
      onFailure?.(this.#failure(`exited unexpectedly (${status}).`));
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

/** Once nothing that a process has said is still on its way: it may end before. */
async function heard(child: ChildProcess): Promise<void> {
  if (child.connected) await once(child, "disconnect");
}
