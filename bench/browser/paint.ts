/** How soon a page is there, from an empty cache. */
import type { Browser, Page } from "playwright-core";
import { median } from "../measure.ts";

export interface Place {
  readonly name: string;
  readonly url: string;
  /** A selector of what the page is for. */
  readonly ready: string;
}

export interface Paint {
  readonly name: string;
  /** Milliseconds from the start of loading to the first thing on the screen, and to what the page is for. */
  readonly first: number;
  readonly firstLongest: number;
  readonly ready: number;
  readonly readyLongest: number;
  /** Bytes that a load transfers. */
  readonly bytes: number;
}

export async function coldLoads(browser: Browser, place: Place, rounds: number): Promise<Paint> {
  const loads: Load[] = [];
  for (let round = 0; round < rounds; round++) loads.push(await withPlace(browser, place, loadOf));
  const [firsts, readies] = [loads.map(({ first }) => first), loads.map(({ ready }) => ready)];
  return {
    name: place.name,
    first: median(firsts),
    firstLongest: Math.max(...firsts),
    ready: median(readies),
    readyLongest: Math.max(...readies),
    bytes: median(loads.map(({ bytes }) => bytes)),
  };
}

/** A page in a context of its own, which has nothing in its cache, with the place open. */
export async function withPlace<T>(
  browser: Browser,
  { url, ready }: Place,
  work: (page: Page) => Promise<T>,
): Promise<T> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  try {
    const page = await context.newPage();
    await page.addInitScript(noteWhenReady, ready);
    await page.goto(url);
    await page.locator(ready).first().waitFor();
    return await work(page);
  } finally {
    await context.close();
  }
}

interface Load {
  readonly first: number;
  readonly ready: number;
  readonly bytes: number;
}

type Noting = typeof globalThis & { steplogReadyAt?: number };

const loadOf = (page: Page) => page.evaluate(readLoad);

/** Runs in the page, before its own scripts: a frame after the selector finds something, it is on the screen. */
function noteWhenReady(selector: string): void {
  const look = () => {
    if (document.querySelector(selector))
      requestAnimationFrame(() => ((globalThis as Noting).steplogReadyAt = performance.now()));
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}

/** Runs in the page. */
async function readLoad(): Promise<Load> {
  while ((globalThis as Noting).steplogReadyAt === undefined) await new Promise(requestAnimationFrame);
  const first = performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN;
  const files = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
  const bytes = files.reduce((sum, file) => sum + (file as PerformanceResourceTiming).transferSize, 0);
  return { first, ready: (globalThis as Noting).steplogReadyAt ?? NaN, bytes };
}
