/** What `steplog watch` writes of a run, in terminals of every size, with and without colours. */
import { stripVTControlCharacters } from "node:util";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { linesOf, sizeOf, widthOf } from "../../cli/terminal.ts";
import { viewOf, type Watched, type WatchedRun } from "../../cli/watch/view.ts";

beforeEach(() => {
  vi.stubEnv("NO_COLOR", "1");
});
afterEach(() => {
  vi.unstubAllEnvs();
});

const progress = { step: 400, steps: 1_000, fraction: 0.4, stepsPerSecond: 12.34, skippedSteps: 0 };
const best = { step: 400, rows: 500, loss: 0.25, accuracy: 0.975, f1: 0.97, exactMatch: null };
const running: WatchedRun = {
  id: btoa("FineTune:4f2a91c0-0000-4000-8000-000000000000"),
  name: "reviews",
  status: "RUNNING",
  loss: 0.7123,
  pauseRequested: false,
  cancelRequested: false,
  waitingReason: null,
  queuePosition: null,
  estimatedSecondsLeft: 3_725,
  baseModel: { name: "demo" },
  dataset: { name: "reviews of restaurants" },
  progress,
  evaluations: [best],
  bestEvaluation: { step: 400 },
  checkpoints: {
    nodes: [{ id: btoa("Checkpoint:aaaaaaaa-0000-4000-8000-000000000000"), step: 400, logBytes: 1_300 }],
  },
};
const losses = Array.from({ length: 400 }, (_, x) => ({ x: x + 1, y: 2 - x / 400 }));
const wanted = "No worker has the model demo. A worker with it in its models folder takes the run: steplog worker";

function shown(run: Partial<WatchedRun> = {}, columns = 80, rows = 24, more: Partial<Watched> = {}): string[] {
  const watched = { run: { ...running, ...run }, losses, happened: null, lostForS: null, ...more };
  return viewOf(watched, { columns, rows }, true);
}

describe("the line of its state", () => {
  test("has a bar, how fast it is, and how long it still takes", () => {
    const [, line] = shown({}, 120);
    expect(line).toMatch(/^RUNNING {2}█+░+ {2}400\/1000 40% {3}12\.3 steps\/s {3}1h 02m 05s left {3}loss 0\.7123$/u);
  });

  test("says no time where none is known, and how many jobs are before it", () => {
    const unknown = { ...progress, step: 0, fraction: 0, stepsPerSecond: null };
    const waiting = { status: "QUEUED", progress: unknown, loss: null, estimatedSecondsLeft: null } as const;
    expect(shown({ ...waiting, queuePosition: 2 })[1]).toMatch(/^QUEUED {2}░+ {2}0\/1000 0% {3}2 before it$/u);
    expect(shown({ ...waiting, queuePosition: 0 })[1]).toMatch(/^QUEUED {2}░+ {2}0\/1000 0%$/u);
  });

  test("goes on in the next one where a terminal is narrow", () => {
    const [, first, second] = shown({}, 40);
    expect([first, second]).toEqual(["RUNNING   400/1000 40%   12.3 steps/s", "1h 02m 05s left   loss 0.7123"]);
  });
});

describe("in every size", () => {
  const long = { waitingReason: wanted };
  const lost = { lostForS: 75, happened: "It hardly moved: try a learning rate ten times as high, or more steps." };
  const sizes = [20, 30, 40, 60, 80, 132, 300].flatMap((columns) => [6, 12, 24, 70].map((rows) => [columns, rows]));

  test.each(sizes)("%i columns and %i rows have no line too long, and none too many", (columns = 0, rows = 0) => {
    const lines = shown(long, columns, rows, lost);
    expect(lines.length).toBeLessThanOrEqual(rows);
    // A title is cut when it is drawn, and so is the key of the chart.
    const tooLong = lines.slice(1).filter((line) => widthOf(line) > columns && !line.includes("loss of the training"));
    expect(tooLong).toEqual([]);
  });

  test("nothing of why a run waits, or of what happened, is cut off", () => {
    const text = shown(long, 30, 70, lost).join(" ");
    for (const words of [wanted, "No connection to the service for 1m 15s. Trying again.", lost.happened])
      expect(text).toContain(words);
  });

  test("a wide terminal has a wide chart, and a high one no more than can be taken in", () => {
    const widest = (columns: number, rows: number) => Math.max(...shown({}, columns, rows).map(widthOf));
    expect(widest(300, 24)).toBe(300);
    expect(shown({}, 80, 200).length).toBeLessThan(45);
  });

  test("a terminal that does not know its size has the usual one", () => {
    expect(sizeOf({ columns: 0, rows: 0 })).toEqual({ columns: 80, rows: 24 });
    expect(sizeOf({ columns: 132, rows: 50 })).toEqual({ columns: 132, rows: 50 });
  });
});

test.each(["SUCCEEDED", "FAILED", "CANCELLED"] as const)("of a run that is %s, nothing is left to come", (status) => {
  const lines = shown({ status, estimatedSecondsLeft: null });
  expect(lines[1]).toMatch(new RegExp(`^${status} `, "u"));
  expect(lines.join("\n")).not.toMatch(/ left|Ctrl-C/u);
});

test("colours are used in a terminal, but not with NO_COLOR, and change no word", () => {
  const plain = shown({}, 80, 24, { lostForS: 3 });
  expect(plain.map(stripVTControlCharacters)).toEqual(plain);
  vi.stubEnv("NO_COLOR", "");
  vi.stubEnv("FORCE_COLOR", "1");
  const coloured = shown({}, 80, 24, { lostForS: 3 });
  expect(coloured).not.toEqual(plain);
  expect(coloured.map(stripVTControlCharacters)).toEqual(plain);
});

test("parts fill lines, and none is broken", () => {
  expect(linesOf(["one", "two", "three"], "  ", 8)).toEqual(["one  two", "three"]);
  expect(linesOf(["much too long", "a"], " ", 5)).toEqual(["much too long", "a"]);
  expect(linesOf([], " ", 5)).toEqual([]);
});
