/**
 * The page in a real browser, with a real gateway and store: what every test file of the page starts with. The tests act as
 * the worker through the store.
 */
import { mkdir } from "node:fs/promises";
import axe from "axe-core";
import type { Browser, BrowserContext, Locator, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, expect, vi, type TestContext } from "vitest";
import { FakeWorker, createFineTune, testServer, type TestServer } from "../server/harness.ts";
import type { ServerConfig } from "../../server/server.ts";
import { missing, openBrowser } from "../../bench/browser/chromium.ts";
import { builtPage } from "../support/built-page.ts";

/** Folder for screenshots, if set. */
const shots = process.env["STEPLOG_SCREENSHOTS"];

export interface PageOptions {
  readonly width?: number;
  readonly height?: number;
  readonly colorScheme?: "dark" | "light";
  readonly reducedMotion?: "reduce" | "no-preference";
  readonly hasTouch?: boolean;
}

export interface PageTests {
  readonly server: TestServer;
  /** A fresh page for each test. */
  readonly page: Page;
  readonly newPage: (options?: PageOptions) => Promise<Page>;
  /** For pages that share a sign-in, as the tabs of one browser do. */
  readonly newContext: () => Promise<BrowserContext>;
  /** Errors in the console of the newest page, and its requests to other hosts. Tests end with expecting none. */
  readonly complaints: string[];
  /** Keeps a picture under a name, where STEPLOG_SCREENSHOTS names a folder. */
  readonly shoot: (name: string, of?: Page) => Promise<void>;
  /** A run claimed by a fake worker. Every test ends its run, so that the next claim gets the next one. */
  readonly training: (hyperparameters: object, name?: string) => Promise<[string, FakeWorker]>;
}

/**
 * What is there or not is what the tests look at, not how soon on a machine that runs other tests and browsers. Shorter
 * than a test may take, so that the error names what was missing.
 */
export const waitMs = 25_000;
const testMs = 90_000;

/** Registers the hooks of a test file. What it returns is read within tests. */
export function pageTests(config: Partial<ServerConfig> = {}): PageTests {
  vi.setConfig({ testTimeout: testMs, expect: { poll: { timeout: waitMs } } });
  const skipped = missing !== null && process.env["CI"] !== "true";
  const complaints: string[] = [];
  let server: TestServer | undefined;
  let browser: Browser | undefined;
  let page: Page | undefined;

  const started = <T>(part: T | undefined): T => {
    if (part === undefined) throw new Error("read within a test only");
    return part;
  };
  const newPage = async ({ width = 1280, height = 900, colorScheme = "light", ...rest }: PageOptions = {}) => {
    const context = await closingCalmly(
      started(browser).newContext({ viewport: { width, height }, colorScheme, ...rest }),
    );
    const opened = await context.newPage();
    opened.setDefaultTimeout(waitMs);
    complaints.length = 0;
    opened.on("pageerror", (error) => complaints.push(String(error)));
    opened.on("console", (message) => {
      // A browser reports every answer that is no success; what the page makes of it is what the tests look at.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
        complaints.push(message.text());
    });
    opened.on("request", (request) => {
      const { host, protocol } = new URL(request.url());
      if (host !== new URL(started(server).url).host && protocol !== "data:" && protocol !== "blob:")
        complaints.push(`asked ${request.url()}`);
    });
    return opened;
  };

  beforeAll(async () => {
    if (skipped) return;
    browser = await openBrowser();
    server = await testServer({ dashboardDir: await builtPage(), ...config });
  }, 60_000);
  afterAll(async () => {
    for (const context of browser?.contexts() ?? []) await context.close();
    await browser?.close();
    await server?.dispose();
  });
  beforeEach(async (context: TestContext) => {
    if (skipped) context.skip(missing ?? "");
    await page?.context().close();
    page = await newPage();
  });

  return {
    get server() {
      return started(server);
    },
    get page() {
      return started(page);
    },
    newPage,
    newContext: () => {
      complaints.length = 0;
      return closingCalmly(started(browser).newContext({ viewport: { width: 1280, height: 900 } }));
    },
    complaints,
    shoot: async (name, of = started(page)) => {
      if (!shots) return;
      await mkdir(shots, { recursive: true });
      await of.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
    },
    training: async (hyperparameters, name) => {
      const id = await createFineTune(started(server), hyperparameters, name);
      return [id, await FakeWorker.claim(started(server).store)];
    },
  };
}

/** A request of a page that is held by a test's route when its context ends fails there, which is nobody's fault. */
async function closingCalmly(opened: Promise<BrowserContext>): Promise<BrowserContext> {
  const context = await opened;
  const close = context.close.bind(context);
  context.close = async (options) => {
    const calmly = { behavior: "ignoreErrors" } as const;
    await Promise.all([context, ...context.pages()].map((one) => one.unrouteAll(calmly)));
    await close(options);
  };
  return context;
}

/**
 * That a page fits these widths, and breaks no word or number of a table. The dark theme changes colours alone (theme.test.ts),
 * so there the last width does.
 */
export async function expectToFit(page: Page, name: string, widths = [1920, 1280, 780, 390, 360]): Promise<void> {
  const isDark = await page.evaluate(() => matchMedia("(prefers-color-scheme: dark)").matches);
  for (const width of isDark ? widths.slice(-1) : widths) {
    await page.setViewportSize({ width, height: 900 });
    // Charts follow a frame later.
    const needed = () => page.evaluate(() => document.documentElement.scrollWidth);
    await expect.poll(needed, { message: `${name} is wider than the screen` }).toBeLessThanOrEqual(width);
    await expect.poll(() => page.evaluate(brokenWords), { message: `${name} at ${width} pixels` }).toEqual([]);
  }
}

/** That axe finds nothing against WCAG 2.2 A and AA in what is shown, and that no two buttons have one name. */
export async function expectAccessible(page: Page, name: string): Promise<void> {
  await expectOwnNames(page, name);
  const found = await page.evaluate(async (tags) => {
    const { violations } = await (globalThis as unknown as { axe: typeof axe }).axe.run({
      runOnly: { type: "tag", values: tags },
      // Nobody reads what passes, nor where in the document something is.
      resultTypes: ["violations"],
      selectors: false,
    });
    return violations.flatMap(({ id, help, nodes }) => nodes.map(({ html }) => `${id}: ${help}: ${html}`));
  }, wcag);
  expect({ name, found }).toEqual({ name, found: [] });
}

/** That no two buttons have one name: whoever hears only that cannot tell what they do. */
export async function expectOwnNames(page: Page, name: string): Promise<void> {
  // Half a megabyte to parse, once for each document.
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axe.source);
  await expect
    .poll(() => page.evaluate(sharedNames), { message: `names that several buttons of ${name} have` })
    .toEqual([]);
}

/** That Escape closes the dialog that is open, and that the focus is back, and seen, at what opened it. */
export async function expectToReturn(page: Page, opener: Locator): Promise<void> {
  await expect.poll(() => page.evaluate(() => Boolean(document.activeElement?.closest("dialog")))).toBe(true);
  await page.keyboard.press("Escape");
  await expect.poll(() => page.getByRole("dialog").count()).toBe(0);
  await expect.poll(() => opener.evaluate((one) => one.matches(":focus-visible"))).toBe(true);
}

/** Of buttons that can be pressed now: in the dialog that is open, in a menu, on the page. Runs there, once axe is there. */
function sharedNames(): string[] {
  const { setup, teardown, commons } = (globalThis as unknown as { axe: AxeInside }).axe;
  const pressed = ":is(button, input[type=checkbox]):enabled, [role=button]:not([aria-disabled=true]), a.button";
  const dialog = [...document.querySelectorAll("dialog:modal")].at(-1);
  const shown = [...(dialog ?? document).querySelectorAll(pressed)].filter((one) =>
    one.checkVisibility({ visibilityProperty: true }),
  );
  const places = new Map<Element | null, Map<string, number>>();
  setup();
  for (const one of shown) {
    const place = one.closest("dialog, [popover]");
    const names = places.get(place) ?? new Map<string, number>();
    const name = commons.text.accessibleText(one);
    places.set(place, names.set(name, (names.get(name) ?? 0) + 1));
  }
  teardown();
  return [...places.values()].flatMap((names) => [...names].flatMap(([name, count]) => (count > 1 ? [name] : [])));
}

/** What its types do not tell of it. */
interface AxeInside {
  readonly setup: () => void;
  readonly teardown: () => void;
  readonly commons: { readonly text: { readonly accessibleText: (element: Element) => string } };
}

const wcag = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

/**
 * Words and numbers of tables that are broken over two lines; runs in the page. A name that is longer than the column that
 * names have must break; on a phone, where each row is a card, a name has the card's width, and breaks as text does.
 */
function brokenWords(): string[] {
  const broken: string[] = [];
  const longestWord = 12;
  const cells = [...document.querySelectorAll(":is(td, thead th, tbody th):not(.long)")];
  for (const cell of cells) {
    const isName = cell.matches("tbody th");
    const row = cell.closest("tr");
    if (isName && row && getComputedStyle(row).display === "block") continue;
    const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    for (let node = texts.nextNode(); node; node = texts.nextNode()) {
      for (const match of (node.textContent ?? "").matchAll(/[\p{L}\p{N}.,:%]+/gu)) {
        const range = document.createRange();
        range.setStart(node, match.index);
        range.setEnd(node, match.index + match[0].length);
        if (isName && match[0].length > longestWord) continue;
        // A text that is cut has its parts in one line.
        const lines = new Set([...range.getClientRects()].map(({ top }) => Math.round(top)));
        if (lines.size > 1) broken.push(match[0]);
      }
    }
  }
  return broken;
}
