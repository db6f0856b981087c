/** For tests of faults, which CI must not try a second time as it does others: one failure may mean that data was lost. */
export const firstTry = { retry: 0 } as const;
