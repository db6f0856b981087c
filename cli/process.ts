/** What long-running commands share: a log, and a signal to stop. */
import { pino } from "pino";
import type { Logger } from "pino";
import { SteplogError, asSteplogError } from "../schema/errors.ts";
import { faultOf } from "../schema/faults.ts";
import type { Store } from "../store/store.ts";
import { whenAvailable } from "../store/store.ts";
import { exitCodes } from "./exit-codes.ts";

/** JSON lines on stderr; stdout is for the output of commands. */
export function createLog(name: string, level: string): Logger {
  const serializers = { err: describe, error: describe };
  return pino({ name, level, serializers }, pino.destination(2));
}

/**
 * Runs a process of the service to its end. What nobody expected ends the process, as it should: the log says where, without
 * the texts that Node would print.
 */
export async function runService(log: Logger, work: () => Promise<void>): Promise<void> {
  const crash = (err: unknown) => {
    log.fatal({ err }, "A fault ends the process.");
    process.exit(exitCodes.fault);
  };
  process.on("uncaughtException", crash).on("unhandledRejection", crash);
  try {
    await work();
  } catch (caught) {
    const error = asSteplogError(caught);
    if (error.code !== "INTERNAL") throw error;
    log.fatal({ err: caught }, "A fault ends the process.");
    throw new SteplogError("INTERNAL", "A fault has ended the process. Its log says where.");
  } finally {
    process.off("uncaughtException", crash).off("unhandledRejection", crash);
  }
}

/** Without the messages of other programs, which may quote rows and prompts. */
const describe = (error: unknown) => faultOf(error);

/**
 * Aborted by Ctrl-C, by SIGTERM, or when the parent that started this process over IPC has exited. A second signal exits at
 * once, so that nobody needs kill -9.
 */
export function stopSignal(): AbortSignal {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort();
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  process.on("disconnect", () => controller.abort());
  return controller.signal;
}

export function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Brings the tables up to date as soon as Postgres answers. False when the signal came first. */
export function migrateWhenUp(store: Store, log: Logger, signal: AbortSignal): Promise<boolean> {
  return whenUp(() => store.migrate(), log, signal);
}

/**
 * The same for a process of the service, which also stores files: its storage can be used.
 * @throws INVALID_ARGUMENT for storage that cannot
 */
export async function prepareWhenUp(store: Store, log: Logger, signal: AbortSignal): Promise<boolean> {
  return (await migrateWhenUp(store, log, signal)) && whenUp(() => store.blobs.check(), log, signal);
}

async function whenUp(call: () => Promise<void>, log: Logger, signal: AbortSignal): Promise<boolean> {
  try {
    await whenAvailable(call, { log, signal });
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    throw error;
  }
}

/** Tells the parent that started this process, if any, that it is ready. */
export function reportReady(message: object): void {
  process.send?.({ type: "ready", ...message });
}
