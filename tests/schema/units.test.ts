/** Numbers in words, as the page and the command line write them. */
import { expect, test } from "vitest";
import { formatLoss } from "../../schema/units.ts";

test.each([
  [0, "0.0000"],
  [13.66512, "13.6651"],
  [99_999, "99999.0000"],
  [169_967_188_816, "1.70e11"],
  [-2e5, "-2.00e5"],
])("a loss of %d is written as %s, so that a run that diverged fits where others do", (loss, words) => {
  expect(formatLoss(loss)).toBe(words);
});
