/**
 * The page in a real browser, with a real gateway and store: what every test file of the page starts with. The tests act as
 * the worker through the store.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import axe from "axe-core";
import type { Browser, Page } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, beforeEach, expect, type TestContext } from "vitest";
import { FakeWorker, createFineTune, testServer, type TestServer } from "../server/harness.ts";
import type { ServerConfig } from "../../server/server.ts";
import { missing, openBrowser } from "./browser.ts";

const sources = fileURLToPath(new URL("../../dashboard/vite.config.ts", import.meta.url));
/** Folder for screenshots, if set. */
const shots = process.env["STEPLOG_SCREENSHOTS"];

export interface PageOptions {
  readonly width?: number;
  readonly colorScheme?: "dark" | "light";
  readonly reducedMotion?: "reduce" | "no-preference";
}

export interface PageTests {
  readonly server: TestServer;
  /** A fresh page for each test. */
  readonly page: Page;
  readonly newPage: (options?: PageOptions) => Promise<Page>;
  /** Errors in the console of the newest page, and its requests to other hosts. Tests end with expecting none. */
  readonly complaints: string[];
  /** Keeps a picture under a name, where STEPLOG_SCREENSHOTS names a folder. */
  readonly shoot: (name: string, of?: Page) => Promise<void>;
  /** A run claimed by a fake worker. Every test ends its run, so that the next claim gets the next one. */
  readonly training: (hyperparameters: object, name?: string) => Promise<[string, FakeWorker]>;
}

/** Registers the hooks of a test file. What it returns is read within tests. */
export function pageTests(config: Partial<ServerConfig> = {}): PageTests {
  const skipped = missing !== null && process.env["CI"] !== "true";
  const complaints: string[] = [];
  let server: TestServer | undefined;
  let browser: Browser | undefined;
  let page: Page | undefined;
  let folder = "";

  const started = <T>(part: T | undefined): T => {
    if (part === undefined) throw new Error("read within a test only");
    return part;
  };
  const newPage = async ({ width = 1280, colorScheme = "light", reducedMotion }: PageOptions = {}) => {
    const context = await started(browser).newContext({
      viewport: { width, height: 900 },
      colorScheme,
      ...(reducedMotion && { reducedMotion }),
    });
    const opened = await context.newPage();
    // Shorter than a test's timeout, so that the error names what was missing.
    opened.setDefaultTimeout(10_000);
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
    folder = await mkdtemp(path.join(tmpdir(), "steplog-page-"));
    browser = await openBrowser();
    await build({ configFile: sources, logLevel: "warn", build: { outDir: folder } });
    server = await testServer({ dashboardDir: folder, ...config });
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    await server?.dispose();
    if (folder !== "") await rm(folder, { recursive: true });
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

/** That a page fits these widths, and breaks no word or number of a table. */
export async function expectToFit(page: Page, name: string, widths = [1920, 1280, 780, 390, 360]): Promise<void> {
  for (const width of widths) {
    await page.setViewportSize({ width, height: 900 });
    // Charts follow a frame later.
    const needed = () => page.evaluate(() => document.documentElement.scrollWidth);
    await expect.poll(needed, { message: `${name} is wider than the screen` }).toBeLessThanOrEqual(width);
    expect(await page.evaluate(brokenWords), `${name} at ${width} pixels`).toEqual([]);
  }
}

/** That axe finds nothing against WCAG 2.2 A and AA in what is shown. */
export async function expectAccessible(page: Page, name: string): Promise<void> {
  await page.evaluate(axe.source);
  const found = await page.evaluate(async (tags) => {
    const { violations } = await (globalThis as unknown as { axe: typeof axe }).axe.run({
      runOnly: { type: "tag", values: tags },
    });
    return violations.flatMap(({ id, help, nodes }) => nodes.map(({ html }) => `${id}: ${help}: ${html}`));
  }, wcag);
  expect({ name, found }).toEqual({ name, found: [] });
}

const wcag = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

/** Words and numbers of tables that are broken over two lines; runs in the page. */
function brokenWords(): string[] {
  const broken: string[] = [];
  for (const cell of document.querySelectorAll(":is(td, thead th):not(.long)")) {
    const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    for (let node = texts.nextNode(); node; node = texts.nextNode()) {
      for (const match of (node.textContent ?? "").matchAll(/[\p{L}\p{N}.,:%]+/gu)) {
        const range = document.createRange();
        range.setStart(node, match.index);
        range.setEnd(node, match.index + match[0].length);
        if (range.getClientRects().length > 1) broken.push(match[0]);
      }
    }
  }
  return broken;
}
