/**
 * Where a frame's time goes, from a trace of Chromium. The main thread of the page runs its scripts, layout and paint; what that
 * records is rasterised by other threads and put on the screen by another process. Without a GPU all of it needs the
 * processor, so that both are told apart here: the first is the page's own doing, the second becomes little with a GPU.
 */
import type { Browser, Page } from "playwright-core";
import { z } from "zod";

export interface Work {
  /** Milliseconds of the page's main thread for each frame of 60 a second, on average: all, and what of it. */
  readonly main: number;
  readonly scripts: number;
  readonly layout: number;
  readonly paint: number;
  /** Of all frames but one in twenty at most. */
  readonly mainP95: number;
  /** Milliseconds a frame of all other threads that rasterise and compose. */
  readonly raster: number;
}

const categories = ["toplevel", "devtools.timeline", "v8", "blink", "cc", "__metadata"];
const frameMicros = 1_000_000 / 60;

/** What is done during the work. */
export async function workDuring(browser: Browser, page: Page, work: () => Promise<void>): Promise<Work> {
  await browser.startTracing(page, { categories });
  await work();
  return workOf((await browser.stopTracing()).toString());
}

const eventSchema = z.object({
  name: z.string(),
  ph: z.string(),
  pid: z.number(),
  tid: z.number(),
  ts: z.number(),
  dur: z.number().optional(),
  args: z.object({ name: z.string().optional() }).optional().catch(undefined),
});
const traceSchema = z.object({ traceEvents: z.array(eventSchema) });
type TraceEvent = z.infer<typeof eventSchema>;

export function workOf(text: string): Work {
  const { traceEvents } = traceSchema.parse(JSON.parse(text));
  const names = new Map(
    traceEvents
      .filter(({ name, ph }) => ph === "M" && name === "thread_name")
      .map((event) => [threadOf(event), event.args?.name ?? ""]),
  );
  const threads = new Map<string, TraceEvent[]>();
  for (const event of traceEvents) {
    if (event.ph !== "X" || event.dur === undefined) continue;
    const thread = threads.get(threadOf(event));
    if (thread) thread.push(event);
    else threads.set(threadOf(event), [event]);
  }
  const of = (pattern: RegExp) => [...threads].filter(([thread]) => pattern.test(names.get(thread) ?? ""));
  // A browser has several pages' threads; the busiest is the one that is looked at.
  const mains = of(/^CrRendererMain$/u).map(([, events]) => events);
  const main = mains.toSorted((a, b) => busy(b) - busy(a))[0] ?? [];
  const others = of(/^(?:CompositorTileWorker|ThreadPoolForegroundWorker|Compositor$|VizCompositorThread|CrGpuMain)/u);
  const frames = (latest(main) - earliest(main)) / frameMicros;
  const parts = selfTimes(main);
  const mean = (micros: number) => micros / frames / 1_000;
  return {
    main: mean(busy(main)),
    scripts: mean(parts.scripts),
    layout: mean(parts.layout),
    paint: mean(parts.paint),
    mainP95: p95OfFrames(main) / 1_000,
    raster: mean(others.reduce((sum, [, events]) => sum + busy(events), 0)),
  };
}

const threadOf = ({ pid, tid }: TraceEvent) => `${pid}:${tid}`;
const earliest = (events: readonly TraceEvent[]) => events.reduce((least, { ts }) => Math.min(least, ts), Infinity);
const latest = (events: readonly TraceEvent[]) => events.reduce((most, event) => Math.max(most, endOf(event)), 0);
const endOf = ({ ts, dur = 0 }: TraceEvent) => ts + dur;

/** Events that no other contains. */
function outermost(events: readonly TraceEvent[]): TraceEvent[] {
  let end = -Infinity;
  return inOrder(events).filter(({ ts, dur = 0 }) => {
    const isOuter = ts >= end;
    if (isOuter) end = ts + dur;
    return isOuter;
  });
}

const inOrder = (events: readonly TraceEvent[]) =>
  events.toSorted((a, b) => a.ts - b.ts || (b.dur ?? 0) - (a.dur ?? 0));
const busy = (events: readonly TraceEvent[]) => outermost(events).reduce((sum, { dur = 0 }) => sum + dur, 0);

const kinds = {
  layout: /Layout|RecalculateStyle|PrePaint|ScheduleStyle|HitTest|IntersectionObserver|UpdateStyle/u,
  paint: /Paint|Layerize|Commit|Raster|Canvas|UpdateLayer|Composit|DrawImage|Image Decode|Decode Image/iu,
  scripts:
    /^v8|^V8|GC|FunctionCall|FireAnimationFrame|TimerFire|EventDispatch|Microtask|EvaluateScript|Callback|WebSocket/u,
};

/** Of each event without those that it contains, by what it is. */
function selfTimes(events: readonly TraceEvent[]) {
  const sums = { scripts: 0, layout: 0, paint: 0 };
  const open: TraceEvent[] = [];
  for (const event of inOrder(events)) {
    let around = open.at(-1);
    while (around && endOf(around) <= event.ts) {
      open.pop();
      around = open.at(-1);
    }
    const [kind, outer] = [kindOf(event), around && kindOf(around)];
    if (kind !== null) sums[kind] += event.dur ?? 0;
    if (kind !== null && outer) sums[outer] -= event.dur ?? 0;
    // What is of no kind belongs to what it is in.
    open.push(kind === null && around ? { ...around, ts: event.ts, dur: event.dur } : event);
  }
  return sums;
}

function kindOf({ name }: TraceEvent): keyof typeof kinds | null {
  if (kinds.layout.test(name)) return "layout";
  if (kinds.paint.test(name)) return "paint";
  return kinds.scripts.test(name) ? "scripts" : null;
}

/** Microseconds that the main thread was busy in a frame. */
function p95OfFrames(events: readonly TraceEvent[]): number {
  const begin = earliest(events);
  const sums: number[] = [];
  for (const { ts, dur = 0 } of outermost(events)) {
    // A task that outlasts its frame fills the next ones too.
    for (let at = ts; at < ts + dur;) {
      const frame = Math.floor((at - begin) / frameMicros);
      const until = Math.min(ts + dur, begin + (frame + 1) * frameMicros);
      sums[frame] = (sums[frame] ?? 0) + until - at;
      at = until > at ? until : ts + dur;
    }
  }
  const sorted = Array.from(sums, (sum) => sum ?? 0).toSorted((a, b) => a - b);
  return sorted[Math.floor(0.95 * sorted.length)] ?? NaN;
}
