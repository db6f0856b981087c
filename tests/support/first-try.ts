/**
 * For tests of faults: one failure may mean that data was lost, so CI must not try them a second time as it does others, unless all
 * that failed was to come within a time (`until` of tests/process, or vitest's own limit), which a busy machine may miss.
 */
export const firstTry = {
  retry: { count: 1, condition: (error: { readonly message: string }) => isLate(error) },
} as const;

export function isLate({ message }: { readonly message: string }): boolean {
  return /: not within \d+ ms$|^Test timed out in \d+ms\./u.test(message);
}
