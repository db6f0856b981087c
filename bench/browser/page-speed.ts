/**
 * bench page: how smooth the page is in a headless Chromium, how soon it is there, and how large. It builds the page, makes
 * a service with a long run and a long list, and acts as the reader: looks at the run while it trains, moves over its charts,
 * zooms, and scrolls through the list.
 */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Browser, Page } from "playwright-core";
import { SteplogError } from "../../schema/errors.ts";
import { packagePath } from "../../schema/package.ts";
import { type Machine, machine } from "../measure.ts";
import { type Act, listAct, runActs } from "./acts.ts";
import { type Frames, framesDuring } from "./frames.ts";
import { coldLoads, type Paint, type Place, withPlace } from "./paint.ts";
import { type Scene, type SceneOptions, withScene } from "./scene.ts";
import { type Work, workDuring } from "./trace.ts";

export interface PageOptions extends SceneOptions {
  /** Of each act. It is played again with a trace, for half of them. */
  readonly seconds: number;
  /** Cold loads of each page. */
  readonly rounds: number;
}

interface Played {
  readonly name: string;
  /** Steps that were stored meanwhile. */
  readonly updates: number;
  readonly frames: Frames;
  readonly work: Work;
}

export interface PageResult {
  readonly bench: "page";
  readonly options: PageOptions;
  readonly chromium: string;
  /** Scripts and styles of the page: bytes as they are, and gzipped. */
  readonly bundle: { readonly bytes: number; readonly gzipped: number };
  readonly paints: readonly Paint[];
  readonly acts: readonly Played[];
  /** The last row of the list that was reached. */
  readonly rowReached: number;
  readonly machine: Machine;
}

export async function benchPage(options: PageOptions): Promise<PageResult> {
  await buildPage();
  // Packages of developers, which an installed Steplog lacks.
  const { openBrowser } = await import("./chromium.ts");
  const browser = await openBrowser();
  try {
    return await withScene(options, (scene) => measure(options, scene, browser));
  } finally {
    await browser.close();
  }
}

/** Into dashboard/dist, from where the gateway serves it: what is measured is what the sources say now. */
async function buildPage(): Promise<void> {
  const configFile = packagePath("dashboard/vite.config.ts");
  if (!existsSync(configFile))
    throw new SteplogError(
      "NOT_FOUND",
      "The page is measured from its sources: run this in a clone of the repository.",
    );
  const { build } = await import("vite");
  await build({ configFile, logLevel: "warn" });
}

async function measure(options: PageOptions, scene: Scene, browser: Browser): Promise<PageResult> {
  const list: Place = { name: "Runs", url: scene.url, ready: ".runs tbody th a" };
  const run: Place = { name: "A run", url: scene.runUrl, ready: ".u-over" };
  const playAll = (acts: readonly Act[]) => async (page: Page) => {
    const played: Played[] = [];
    for (const act of acts) played.push(await play(act, { options, scene, browser, page }));
    return played;
  };
  const paints = [await coldLoads(browser, list, options.rounds), await coldLoads(browser, run, options.rounds)];
  const onRun = await withPlace(browser, run, playAll(runActs));
  const [onList, rowReached] = await withPlace(browser, list, async (page) => [
    await playAll([listAct])(page),
    await page.evaluate(lastRow),
  ]);
  return {
    bench: "page",
    options,
    chromium: browser.version(),
    bundle: await bundleBytes(),
    paints,
    acts: [...onRun, ...onList],
    rowReached,
    machine: machine(),
  };
}

interface Stage {
  readonly options: PageOptions;
  readonly scene: Scene;
  readonly browser: Browser;
  readonly page: Page;
}

/** Twice: frames are counted without a trace, which takes time itself. */
async function play(act: Act, { options, scene, browser, page }: Stage): Promise<Played> {
  const during = (seconds: number) => () => act.play(page, performance.now() + seconds * 1_000);
  const counted = await scene.whileTraining(() => framesDuring(page, during(options.seconds)));
  const traced = await scene.whileTraining(() => workDuring(browser, page, during(options.seconds / 2)));
  return { name: act.name, updates: counted.updates, frames: counted.result, work: traced.result };
}

/** Runs in the page. */
const lastRow = () =>
  Math.max(
    ...[...document.querySelectorAll<HTMLElement>("tr[data-index]")].map((row) => Number(row.dataset["index"]) + 1),
  );

async function bundleBytes() {
  const folder = packagePath("dashboard/dist/assets");
  const names = (await readdir(folder)).filter((name) => /\.(?:js|css)$/u.test(name));
  const files = await Promise.all(names.map((name) => readFile(join(folder, name))));
  const sum = (of: (file: Buffer) => number) => files.reduce((total, file) => total + of(file), 0);
  return { bytes: sum((file) => file.length), gzipped: sum((file) => gzipSync(file).length) };
}

export function pageLines({ options, chromium, bundle, paints, acts, rowReached }: PageResult) {
  const ms = (value: number) => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
  const kb = (bytes: number) => `${(bytes / 1_000).toFixed(0)} kB`;
  return [
    ["chromium", `${chromium}, headless, without a GPU`],
    ["bundle", `${kb(bundle.gzipped)} gzipped, ${kb(bundle.bytes)} as it is`],
    ...paints.map(
      ({ name, first, firstLongest, ready, readyLongest, bytes }) =>
        [
          name,
          `first paint ${ms(first)} (at most ${ms(firstLongest)}), there after ${ms(ready)} (at most ${ms(readyLongest)}), ${kb(bytes)} transferred`,
        ] as const,
    ),
    ["steps", `${options.steps} in the charts, ${options.updates} updates a second; ${options.runs} runs in the list`],
    ...acts.flatMap(({ name, updates, frames, work }) => [
      [
        name,
        `${frames.perSecond.toFixed(1)} frames a second; between two ${ms(frames.median)}, p95 ${ms(frames.p95)}, at most ` +
          `${ms(frames.longest)}; ${(100 * frames.late).toFixed(1)} % late; ${frames.longTasks} tasks above 50 ms ` +
          `(at most ${ms(frames.longestTask)}); ${updates} updates`,
      ] as const,
      [
        "  a frame's work",
        `main thread ${ms(work.main)} (p95 ${ms(work.mainP95)}): scripts ${ms(work.scripts)}, layout ${ms(work.layout)}, ` +
          `paint ${ms(work.paint)}; raster and composition elsewhere ${ms(work.raster)}`,
      ] as const,
    ]),
    ["list", `row ${rowReached} reached`],
  ] as const;
}
