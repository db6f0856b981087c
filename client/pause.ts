/** Resolves after `ms` milliseconds, or as soon as the signal aborts. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done);
  });
}

export interface WaitOptions {
  /** How long an outage may last before the call fails, milliseconds; 60000 when left out. */
  readonly patienceMs?: number;
  /** Ends the call with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface RebuildWaitOptions extends WaitOptions {
  /** Called about once a second until the files are there, with why no worker makes them yet; null while one does. */
  readonly onWait?: (waitingReason: string | null) => void;
}
