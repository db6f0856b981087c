/** What a reader does while the page's frames are counted. */
import { setTimeout as delay } from "node:timers/promises";
import type { Page } from "playwright-core";

export interface Act {
  readonly name: string;
  /** Goes on until then, in milliseconds of performance.now(). */
  readonly play: (page: Page, until: number) => Promise<void>;
}

/** Between two moves of the pointer or the wheel. */
const moveMs = 16;

export const runActs: readonly Act[] = [
  { name: "looking at a run", play: (_page, until) => delay(until - performance.now()) },
  { name: "the pointer over its charts", play: hover },
  { name: "zooming in and out", play: zoom },
];

export const listAct: Act = { name: "scrolling through the list", play: scroll };

async function hover(page: Page, until: number): Promise<void> {
  const { x, y, width, height } = await chartBox(page);
  for (let move = 0; performance.now() < until; move++) {
    const share = (1 - Math.cos(move / 40)) / 2;
    await page.mouse.move(x + share * width, y + height / 2);
    await delay(moveMs);
  }
}

/** A drag over the middle half, which a double-click undoes. */
async function zoom(page: Page, until: number): Promise<void> {
  const { x, y, width, height } = await chartBox(page);
  while (performance.now() < until) {
    await page.mouse.move(x + width / 4, y + height / 2);
    await page.mouse.down();
    for (let move = 1; move <= 20; move++) {
      await page.mouse.move(x + width / 4 + (move * width) / 40, y + height / 2);
      await delay(moveMs);
    }
    await page.mouse.up();
    await delay(500);
    await page.mouse.dblclick(x + width / 2, y + height / 2);
    await delay(500);
  }
}

async function scroll(page: Page, until: number): Promise<void> {
  await page.mouse.move(600, 500);
  while (performance.now() < until) {
    await page.mouse.wheel(0, 120);
    await delay(moveMs);
  }
}

async function chartBox(page: Page) {
  const plot = page.locator(".u-over").first();
  await plot.scrollIntoViewIfNeeded();
  const box = await plot.boundingBox();
  if (!box) throw new Error("The page shows no chart.");
  return box;
}
