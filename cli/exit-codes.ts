/** Exit codes of the command. */
export const exitCodes = {
  done: 0,
  fault: 1,
  usage: 2,
  refused: 3,
  runFailed: 4,
  runCancelled: 5,
  /** The run succeeded, and a tracker lacks some of what was measured. */
  trackerLacks: 6,
  /** As shells report SIGINT and SIGPIPE. */
  interrupted: 130,
  outputClosed: 141,
} as const;

/** Of a run, or an evaluation, that has ended. */
export function exitCodeOf(status: string): number {
  if (status === "SUCCEEDED") return exitCodes.done;
  return status === "CANCELLED" ? exitCodes.runCancelled : exitCodes.runFailed;
}
