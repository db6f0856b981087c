/** Which part of an axis is shown: seen closer, from further away, or moved along. All stay within the whole. */

export interface Range {
  readonly min: number;
  readonly max: number;
}

/** How much closer one press of a button or key is. */
export const closer = 0.5;
/** What one press moves, as a share of what is shown. */
export const stride = 0.25;
/** A part that is smaller than this share of the whole has nothing more to show. */
const leastShare = 1e-4;

const widthOf = ({ min, max }: Range) => max - min;

/** @param factor below 1 to see it closer @param about stays where it is on the screen @returns null for all of it */
export function zoomed(shown: Range, whole: Range, factor: number, about = (shown.min + shown.max) / 2): Range | null {
  const width = Math.max(widthOf(shown) * factor, widthOf(whole) * leastShare);
  if (width >= widthOf(whole)) return null;
  return placed(about - (width * (about - shown.min)) / widthOf(shown), width, whole);
}

/** @param share of what is shown; below 0 to the left */
export function moved(shown: Range, whole: Range, share: number): Range {
  return placed(shown.min + share * widthOf(shown), widthOf(shown), whole);
}

function placed(from: number, width: number, whole: Range): Range {
  const min = Math.max(whole.min, Math.min(from, whole.max - width));
  return { min, max: min + width };
}
