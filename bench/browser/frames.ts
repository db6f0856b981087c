/**
 * Frames of the page, as its own requestAnimationFrame sees them: the times between two of them, and tasks of the page's main
 * thread that lasted more than 50 ms. Whatever keeps a frame from being drawn (scripts, layout, rasterising without a GPU)
 * makes such a time longer.
 */
import type { Page } from "playwright-core";
import { median } from "../measure.ts";

export interface Frames {
  readonly count: number;
  readonly perSecond: number;
  /** Milliseconds between two frames. */
  readonly median: number;
  readonly p95: number;
  readonly longest: number;
  /** Share of the frames that came more than a frame of 60 a second after the one before. */
  readonly late: number;
  /** Tasks of more than 50 ms: how many, and the longest in milliseconds. */
  readonly longTasks: number;
  readonly longestTask: number;
}

interface Recorded {
  readonly frames: number[];
  readonly tasks: number[];
}

/** A frame of 60 a second, and what a browser's clock may round. */
const frameMs = 1_000 / 60 + 0.5;

/** What the page draws during the work. */
export async function framesDuring(page: Page, work: () => Promise<void>): Promise<Frames> {
  await page.evaluate(startRecording);
  await work();
  return framesOf(await page.evaluate(stopRecording));
}

export function framesOf({ frames, tasks }: Recorded): Frames {
  const gaps = frames.slice(1).map((at, index) => at - (frames[index] ?? at));
  const sorted = gaps.toSorted((a, b) => a - b);
  const total = gaps.reduce((sum, gap) => sum + gap, 0);
  return {
    count: gaps.length,
    perSecond: (1_000 * gaps.length) / total,
    median: median(gaps),
    p95: sorted[Math.min(sorted.length - 1, Math.floor(0.95 * sorted.length))] ?? NaN,
    longest: sorted.at(-1) ?? NaN,
    late: gaps.filter((gap) => gap > frameMs).length / gaps.length,
    longTasks: tasks.length,
    longestTask: Math.max(0, ...tasks),
  };
}

type Recording = typeof globalThis & { steplogRecording?: Recorded & { over: boolean } };

/** Runs in the page. */
function startRecording(): void {
  const recording = { frames: [] as number[], tasks: [] as number[], over: false };
  (globalThis as Recording).steplogRecording = recording;
  const observer = new PerformanceObserver((list) => {
    if (recording.over) observer.disconnect();
    else for (const { duration } of list.getEntries()) recording.tasks.push(duration);
  });
  observer.observe({ type: "longtask" });
  const frame = (at: number) => {
    if (recording.over) return;
    recording.frames.push(at);
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

/** Runs in the page. */
function stopRecording(): Recorded {
  const recording = (globalThis as Recording).steplogRecording;
  if (!recording) throw new Error("nothing is recorded");
  recording.over = true;
  return { frames: recording.frames, tasks: recording.tasks };
}
