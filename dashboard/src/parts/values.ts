/** The value at an index of a series, or the closest one before it, or else after it: series have gaps at each other's steps. */
export function valueNear(values: readonly (number | null | undefined)[], index: number): number | null {
  for (let before = index; before >= 0; before -= 1) if (values[before] != null) return values[before] ?? null;
  return values.slice(index + 1).find((value) => value != null) ?? null;
}

/** A number that fits the room beside the axis, also for the losses of a run that diverged. */
export function plainTick(value: number): string {
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(1);
  const rounded = Number(value.toPrecision(4));
  return Math.abs(value) < 1e6 ? String(rounded) : rounded.toExponential().replace("e+", "e");
}
