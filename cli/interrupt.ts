/** Work of the service that Ctrl-C ends, where the command has something to clear up first. */
import { exitCodes } from "./exit-codes.ts";

/** @param work ends soon after its signal aborts; what it throws then is not told */
export async function untilInterrupted(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort();
  process.once("SIGINT", interrupt);
  try {
    await work(interrupted.signal);
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
    process.exitCode = exitCodes.interrupted;
  } finally {
    process.off("SIGINT", interrupt);
  }
}
