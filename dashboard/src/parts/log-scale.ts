/** What a logarithmic scale can show: only what is above 0. A line that fell out of the chart there would look like a fault. */
type Values = readonly (number | null)[];

const fits = (value: number | null) => value === null || value > 0;

/** The same values where all of them fit, so that nothing is drawn anew. */
export const onLogScale = (values: Values): Values =>
  values.every(fits) ? values : values.map((value) => (fits(value) ? value : null));

/** How many values of the part that is shown have no place on it. */
export function leftOut(
  series: readonly { readonly values: Values }[],
  x: readonly number[],
  { min, max }: { readonly min: number; readonly max: number },
): number {
  const isShown = (index: number) => (x[index] ?? Infinity) >= min && (x[index] ?? -Infinity) <= max;
  return series.reduce(
    (sum, { values }) => sum + values.filter((value, index) => !fits(value) && isShown(index)).length,
    0,
  );
}
