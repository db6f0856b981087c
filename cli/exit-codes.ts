/** Exit codes of the command. */
export const exitCodes = {
  done: 0,
  fault: 1,
  usage: 2,
  refused: 3,
  runFailed: 4,
  runCancelled: 5,
  /** As shells report SIGINT and SIGPIPE. */
  interrupted: 130,
  outputClosed: 141,
} as const;
