/** What the long-lived commands share: a log, and one way to be told to stop. */
import { pino } from "pino";
import type { Logger } from "pino";

/** JSON lines on stderr; stdout is for what a command prints. */
export function createLog(name: string, level: string): Logger {
  return pino({ name, level, serializers: { error: pino.stdSerializers.err } }, pino.destination(2));
}

/**
 * Aborted by Ctrl-C, by SIGTERM, or when the parent that started this process over IPC is gone. A second signal ends the
 * process at once: whoever is impatient must not need kill -9.
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

/** Tells the parent that started this process, if one did, that it is ready. */
export function reportReady(message: object): void {
  process.send?.({ type: "ready", ...message });
}
