/** What a chart shows of its axis, and how the address says it. */
import { describe, expect, test } from "vitest";
import { moved, zoomed } from "../../dashboard/src/parts/zoom.ts";
import { searchOf, shownIn } from "../../dashboard/src/run/shown.ts";

const whole = { min: 0, max: 1_000 };

describe("a part of an axis", () => {
  test("what one zooms about stays where it is, and all of it is null", () => {
    expect(zoomed(whole, whole, 0.5)).toEqual({ min: 250, max: 750 });
    expect(zoomed(whole, whole, 0.5, 200)).toEqual({ min: 100, max: 600 });
    expect(zoomed({ min: 250, max: 750 }, whole, 2)).toBeNull();
    // Out of a corner: what is shown stays within the whole.
    expect(zoomed({ min: 0, max: 100 }, whole, 2)).toEqual({ min: 0, max: 200 });
    expect(zoomed({ min: 500, max: 500.1 }, whole, 0.5)).toEqual({ min: 500, max: 500.1 });
  });

  test("moves along and stops at the ends", () => {
    expect(moved({ min: 100, max: 200 }, whole, 0.25)).toEqual({ min: 125, max: 225 });
    expect(moved({ min: 890, max: 990 }, whole, 0.25)).toEqual({ min: 900, max: 1_000 });
    expect(moved({ min: 10, max: 110 }, whole, -0.25)).toEqual({ min: 0, max: 100 });
  });
});

describe("what is shown of a run's charts", () => {
  test("is in the address, and what others wrote there stays", () => {
    const shown = { range: { min: 100, max: 250.126 }, share: 2, log: true };
    const search = searchOf(shown, "?tab=answers");
    expect(search).toBe("?tab=answers&steps=100-250.13&smooth=2&log=yes");
    expect(shownIn(search)).toEqual({ ...shown, range: { min: 100, max: 250.13 } });
    expect(searchOf(shownIn(""), search)).toBe("?tab=answers");
  });

  test.each(["?steps=9-3", "?steps=a-b", "?steps=4", "?smooth=99&log=1", "?steps=1-Infinity"])(
    "%s is left at the defaults",
    (search) => expect(shownIn(search)).toEqual(shownIn("")),
  );
});
