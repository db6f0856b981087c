/** GraphQL's Float has no NaN and no infinity: one of them would make everything beside it unreadable. */
export function finiteOrNull(value: number | null): number | null {
  return Number.isFinite(value) ? value : null;
}
