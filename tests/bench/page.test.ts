/** What bench page makes of frames and traces that are known. */
import { expect, test } from "vitest";
import { framesOf } from "../../bench/browser/frames.ts";
import { workOf } from "../../bench/browser/trace.ts";

test("a frame that is missed is late, and counts in the mean", () => {
  const frame = 1_000 / 60;
  const frames = [0, 1, 2, 3, 5].map((at) => 7 + at * frame);
  const found = framesOf({ frames, tasks: [60, 51] });
  expect(found).toMatchObject({ count: 4, late: 0.25, longTasks: 2, longestTask: 60 });
  expect(found.perSecond).toBeCloseTo(48);
  expect([found.median, found.p95, found.longest].map(Math.round)).toEqual([17, 33, 33]);
});

test("the main thread's time is told by what is done, and raster from other threads is apart", () => {
  const [page, other] = [1, 2];
  const thread = (pid: number, tid: number, name: string) => ({
    name: "thread_name",
    ph: "M",
    pid,
    tid,
    ts: 0,
    args: { name },
  });
  const event = (tid: number, name: string, ts: number, dur: number, pid = page) => ({
    name,
    ph: "X",
    pid,
    tid,
    ts,
    dur,
  });
  const frame = 1e6 / 60;
  const traceEvents = [
    thread(page, 1, "CrRendererMain"),
    thread(page, 2, "CompositorTileWorker1"),
    thread(other, 1, "CrRendererMain"),
    // Two frames: 6 ms of a script, of which 2 ms are layout that it asks for, and 1 ms of paint.
    event(1, "ThreadControllerImpl::RunTask", 0, 8_000),
    event(1, "FunctionCall", 1_000, 6_000),
    event(1, "Layout", 2_000, 2_000),
    event(1, "Paint", 7_000, 1_000),
    event(1, "ThreadControllerImpl::RunTask", 2 * frame - 10, 10),
    event(2, "RasterTask", 0, 4_000),
    event(2, "Inner", 1_000, 1_000),
    event(1, "FunctionCall", 0, 10, other),
  ];
  const work = workOf(JSON.stringify({ traceEvents }));
  expect(work.main).toBeCloseTo(8.01 / 2);
  expect(work.scripts).toBeCloseTo(2);
  expect(work.layout).toBeCloseTo(1);
  expect(work.paint).toBeCloseTo(0.5);
  expect(work.raster).toBeCloseTo(2);
  expect(work.mainP95).toBeCloseTo(8);
});
