/** The value at an index of a series, or the closest one before it, or else after it: series have gaps at each other's steps. */
export function valueNear(values: readonly (number | null | undefined)[], index: number): number | null {
  for (let before = index; before >= 0; before -= 1) if (values[before] != null) return values[before] ?? null;
  return values.slice(index + 1).find((value) => value != null) ?? null;
}
