/** `steplog watch`, in a real terminal where it needs one. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exitCodes } from "../../cli/exit-codes.ts";
import { Losses, mostPoints } from "../../cli/watch/losses.ts";
import { plotted } from "../../cli/watch/plot.ts";
import { createFineTune, FakeWorker, testServer, type TestServer } from "../server/harness.ts";
import { steplogHere } from "../support/command.ts";
import { scratch } from "../support/models.ts";
import { relayTo } from "../support/relay.ts";
import { ctrlC, inTerminal } from "../support/terminal.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
}, 60_000);
afterAll(() => server.dispose());

/** A run that a fake worker trains. */
async function startRun(name: string): Promise<{ id: string; worker: FakeWorker }> {
  const id = await createFineTune(server, { steps: 40, checkpointEvery: 0 }, name);
  return { id, worker: await FakeWorker.claim(server.store) };
}

const braille = /[\u2801-\u28ff]/u;

test.runIf(process.platform === "linux")(
  "watch draws a run over in its place until it has ended",
  async () => {
    const { id, worker } = await startRun("watched");
    await worker.train(10);
    const relay = await relayTo(server.url);
    const terminal = await inTerminal(`steplog watch ${id} --url ${relay.url}`);
    await terminal.shows("10/40 25%");
    expect(terminal.page()).toMatch(/RUNNING {2}█+░+ {2}10\/40/u);
    expect(terminal.page()).toMatch(braille);
    await worker.train(10);
    await terminal.shows("20/40 50%");

    await terminal.resize(40, 12);
    await terminal.shows("20/40 50%");
    await expect.poll(() => terminal.page().split("\n").length).toBeLessThanOrEqual(12);
    const tooLong = () =>
      terminal
        .page()
        .split(/\r*\n/u)
        .filter(({ length }) => length > 40);
    await expect.poll(tooLong).toEqual([]);

    relay.cut();
    await terminal.shows(/No connection to the/u);
    await worker.train(20);
    relay.restore();
    await terminal.shows("40/40 100%");
    // Reading the run may be back before its stream is.
    await expect.poll(terminal.page, { timeout: 20_000 }).not.toContain("No connection");

    await worker.checkpoint();
    await worker.succeed();
    expect(await terminal.ended).toBe(0);
    const [, after = ""] = terminal.output().split("\u001b[?1049l");
    expect(stripVTControlCharacters(after)).toMatch(/checkpoint {2}step 40[^]*SUCCEEDED after 40 steps/u);
    expect(terminal.output()).toContain("\u001b[?25h");
    relay.close();
  },
  60_000,
);

const endings = [
  [{ status: "FAILED", code: "DIVERGED", message: "The loss is not finite.", issues: [] }, exitCodes.runFailed],
  [{ status: "FAILED", code: "DATASET_INVALID", message: "Line 3 is no JSON.", issues: [] }, exitCodes.runFailed],
  [{ status: "CANCELLED" }, exitCodes.runCancelled],
] as const;

// A terminal that does not know its size has 0 columns and rows.
test.runIf(process.platform === "linux").each(endings)(
  "watch gives the terminal back, and what became of the run: %j",
  async (outcome, code) => {
    const { id, worker } = await startRun("ends");
    await worker.train(10);
    const terminal = await inTerminal(`steplog watch ${id} --url ${server.url}`, { columns: 0, rows: 0 });
    await terminal.shows("10/40 25%");
    await server.store.finishFineTune(worker.job, outcome);
    expect(await terminal.ended).toBe(code);
    const [, after = ""] = terminal.output().split("\u001b[?1049l");
    const left = stripVTControlCharacters(after);
    expect(left).toContain(`${outcome.status} after 10 steps`);
    if ("message" in outcome) expect(left).toContain(`${outcome.code}: ${outcome.message}`);
  },
  60_000,
);

test.runIf(process.platform === "linux")(
  "with NO_COLOR, watch draws without colours",
  async () => {
    const { id, worker } = await startRun("grey");
    await worker.train(10);
    const terminal = await inTerminal(`steplog watch ${id} --url ${server.url}`, { env: { NO_COLOR: "1" } });
    await terminal.shows("10/40 25%");
    await worker.succeed();
    expect(await terminal.ended).toBe(0);
    // What ends a line takes colours off: 0m.
    const painting = terminal
      .output()
      .split("\u001b[")
      .filter((sequence) => /^[1-9][0-9;]*m/u.test(sequence));
    expect(painting).toEqual([]);
  },
  60_000,
);

test.runIf(process.platform === "linux")(
  "a run that ended while the connection was lost is shown to its end",
  async () => {
    const { id, worker } = await startRun("unheard");
    await worker.train(10);
    const relay = await relayTo(server.url);
    const terminal = await inTerminal(`steplog watch ${id} --url ${relay.url}`);
    await terminal.shows("10/40 25%");
    relay.cut();
    await terminal.shows(/No connection to the service for \d+s\. Trying again\./u);
    await worker.train(30);
    await worker.succeed();
    relay.restore();
    expect(await terminal.ended).toBe(0);
    const [, after = ""] = terminal.output().split("\u001b[?1049l");
    expect(stripVTControlCharacters(after)).toMatch(/SUCCEEDED +█+ +40\/40 100%[^]*SUCCEEDED after 40 steps/u);
    relay.close();
  },
  60_000,
);

test.runIf(process.platform === "linux")(
  "Ctrl-C gives the terminal back and leaves the run going",
  async () => {
    const { id, worker } = await startRun("left");
    const terminal = await inTerminal(`steplog watch ${id} --url ${server.url}; echo code $?`);
    await terminal.shows("0/40 0%");
    terminal.type(ctrlC);
    await terminal.ended;
    const [, after = ""] = terminal.output().split("\u001b[?1049l");
    expect(after).toContain("The fine-tune does not stop with this command.");
    expect((await server.store.fineTunes.get(worker.job.subject))?.status).toBe("RUNNING");
    await worker.succeed();
  },
  60_000,
);

test("into a pipe, watch prints what follow prints, without control characters", async () => {
  const { id, worker } = await startRun("piped");
  await worker.train(40);
  await worker.succeed();
  const { code, stdout, stderr } = await steplogHere(["watch", id, "--url", server.url]);
  expect(code).toBe(0);
  expect(stdout).toContain("SUCCEEDED after 40 steps");
  expect(stripVTControlCharacters(stdout + stderr)).toBe(stdout + stderr);
});

test.runIf(process.platform === "linux")("a terminal that draws over nothing gets lines of progress", async () => {
  const { id, worker } = await startRun("plain");
  await worker.train(40);
  await worker.succeed();
  const line = `steplog follow ${id} --url ${server.url}`;
  const terminal = await inTerminal(line, { env: { TERM: "dumb" } });
  await terminal.ended;
  expect(terminal.output()).toMatch(/step +1\/40 .*\r\n/u);
  expect(stripVTControlCharacters(terminal.output())).toBe(terminal.output());
});

test("a tracker gets evaluations while the run goes on, and each of them once", async () => {
  const { id, worker } = await startRun("tracked");
  await worker.train(10);
  const measured = { kind: "VALIDATION", rows: 3, loss: 2, accuracy: 0.5 } as const;
  await server.store.recordEvaluation(worker.job, { ...measured, entries: 10, step: 10 });
  const csv = join(await scratch(), "run.csv");
  const following = steplogHere(["follow", id, "--url", server.url, "--csv", csv]);
  const lines = async () => (await readFile(csv, "utf8").catch(() => "")).split("\n");
  await expect.poll(lines, { timeout: 15_000 }).toContain("10,validation/accuracy,0.5");
  expect((await server.store.fineTunes.get(worker.job.subject))?.status).toBe("RUNNING");
  await worker.succeed();
  expect((await following).code).toBe(0);
  expect((await lines()).filter((line) => line.includes("accuracy"))).toHaveLength(1);
});

test("a tracker that fails ends no run: the exit code tells of it once the run has succeeded", async () => {
  const { id, worker } = await startRun("untracked");
  await worker.train(10);
  await worker.succeed();
  const csv = join(await scratch(), "nowhere", "run.csv");
  const { code, stdout, stderr } = await steplogHere(["follow", id, "--url", server.url, "--csv", csv]);
  expect(stdout).toContain("SUCCEEDED after 10 steps");
  expect(stderr).toMatch(/^--csv lacks 10 measurements of steps 1 to 10: there is no such file\nThe same command/mu);
  expect(code).toBe(exitCodes.trackerLacks);
});

describe("the chart", () => {
  const style = { width: 40, height: 8, unicode: false, paintLine: String, paintMark: String };
  const line = [0, 1, 2, 3].map((x) => ({ x, y: 3 - x }));

  test("falls from the upper left to the lower right where losses fall", () => {
    const chart = plotted({ line, marks: [{ x: 3, y: 3 }] }, style);
    expect(chart).toHaveLength(8);
    expect(chart[0]).toMatch(/^ +3\.000 \|\*+ +o$/u);
    expect(chart[5]).toMatch(/^ +0\.000 \| +\*+$/u);
    expect(chart[7]).toMatch(/^ {11}0 +3$/u);
    expect(plotted({ line, marks: [] }, { ...style, unicode: true }).join("")).toMatch(braille);
  });

  test("has dots without a gap where it is steep, each where it belongs", () => {
    const steep = [0, 1].map((x) => ({ x, y: 1 - x }));
    const chart = plotted({ line: steep, marks: [] }, { ...style, unicode: true, width: 19, height: 10 });
    // The dots of a letter: two rows at the left, then two at the right.
    const diagonal = Array.from({ length: 8 }, (_, row) => `${" ".repeat(row)}\u28a3${" ".repeat(7 - row)}`);
    expect(chart.slice(0, 8).map((row) => row.slice(-8))).toEqual(diagonal);
  });

  test("makes room for marks beyond the line, and means of steps that share a column", () => {
    const chart = plotted({ line, marks: [{ x: 0, y: 12 }] }, style);
    expect(chart[0]).toMatch(/^ +12\.00 \|o +$/u);
    const noisy = Array.from({ length: 600 }, (_, x) => ({ x, y: x % 2 }));
    const labels = [0, 5].map((row) => Number(plotted({ line: noisy, marks: [] }, style)[row]?.slice(0, 9)));
    for (const label of labels) expect(Math.abs(label - 0.5)).toBeLessThan(0.1);
  });

  test("is left out where there is nothing, or no room", () => {
    expect(plotted({ line: [], marks: [] }, style)).toEqual([]);
    expect(plotted({ line, marks: [] }, { ...style, height: 3 })).toEqual([]);
    expect(plotted({ line, marks: [] }, { ...style, width: 18 })).toEqual([]);
    expect(plotted({ line: [{ x: 1, y: 2 }], marks: [] }, style).join("")).toContain("*");
  });

  test("keeps few points of many steps, and their mean", () => {
    const losses = new Losses();
    for (let step = 1; step <= 10 * mostPoints; step++) losses.add(step, step % 2);
    const points = losses.points();
    expect(points.length).toBeLessThanOrEqual(mostPoints);
    expect(points.at(-1)?.x).toBe(10 * mostPoints);
    expect(points[0]?.y).toBe(0.5);
  });
});
