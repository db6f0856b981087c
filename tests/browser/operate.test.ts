/** What the pages of Operate compute without a browser. */
import { expect, test } from "vitest";
import { csvOf } from "../../dashboard/src/operate/usage/csv.ts";
import { daysOf, rangeOf } from "../../dashboard/src/operate/usage/range.ts";
import { eventGroups, eventsInShort, eventWords } from "../../dashboard/src/operate/webhooks/events.ts";
import { webhookEvents } from "../../schema/webhooks.ts";

test("each type of message of a webhook is explained, and can be chosen", () => {
  expect(Object.keys(eventWords).toSorted()).toEqual(webhookEvents.toSorted());
  expect(eventGroups.flatMap(({ events }) => events).toSorted()).toEqual(webhookEvents.toSorted());
});

test.each([
  [[], "All changes"],
  [["alias.set"], "alias.set"],
  [["alias.set", "alias.removed"], "alias.set and 1 other"],
  [["alias.set", "alias.removed", "dataset.created"], "alias.set and 2 others"],
])("the types %j in short", (events, words) => {
  expect(eventsInShort(events)).toBe(words);
});

test("days are those of UTC: the last thirty, as many as were chosen, or from a day to a day", () => {
  const now = Date.parse("2026-03-01T23:30:00Z");
  expect(rangeOf({}, now)).toEqual({ from: "2026-01-31", to: "2026-03-01" });
  expect(rangeOf({ days: "7" }, now)).toEqual({ from: "2026-02-23", to: "2026-03-01" });
  expect(rangeOf({ days: "1000000" }, now)).toEqual({ from: "2026-01-31", to: "2026-03-01" });
  expect(rangeOf({ from: "2026-01-01", to: "2026-01-02" }, now)).toEqual({ from: "2026-01-01", to: "2026-01-02" });
  expect(daysOf({ from: "2026-02-27", to: "2026-03-01" })).toEqual(["2026-02-27", "2026-02-28", "2026-03-01"]);
  expect(daysOf({ from: "2026-03-02", to: "2026-03-01" })).toEqual([]);
  expect(daysOf({ from: "2000-01-01", to: "2026-03-01" })).toHaveLength(400);
});

test("usage as CSV has a head, plain numbers and a line for each day", () => {
  const seconds = { stepSeconds: 0.5, evaluationSeconds: 2, completionSeconds: 3, rebuildSeconds: 4 };
  const day = { day: "2026-01-31", steps: 1_500, ...seconds, tokensTrained: 2e6, tokensGenerated: 0, bytes: 7 };
  expect(csvOf([day])).toBe(
    "day,steps,stepSeconds,tokensTrained,tokensGenerated,bytes,evaluationSeconds,completionSeconds,rebuildSeconds\r\n" +
      "2026-01-31,1500,0.5,2000000,0,7,2,3,4\r\n",
  );
});
