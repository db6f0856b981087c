/**
 * Pictures of every page, in both themes and three widths, in docs/screenshots: for whoever reads the documentation, and for
 * whoever changes how the page looks, who sees in the diff what else changed. `npm run screenshots` takes them.
 */
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, test } from "vitest";
import { packagePath } from "../../../schema/package.ts";
import { buildSite } from "../../../site/build.ts";
import { globalId } from "../../server/harness.ts";
import { pageTests } from "../harness.ts";
import { tellOfOperation } from "./operation.ts";
import { withPalette } from "./palette.ts";
import { small, tellStory, type Story } from "./story.ts";
import { freezeTime, setTimes } from "./times.ts";

const docsDir = await mkdtemp(path.join(tmpdir(), "steplog-shots-"));
const folder = packagePath("docs/screenshots");
const tests = pageTests({ docsDir });

const screens = [
  { width: 390, height: 844 },
  { width: 1_280, height: 800 },
  { width: 1_920, height: 1_080 },
] as const;
/** Names with commas between them, to take some again; "" for all. */
const wanted = process.env["STEPLOG_SHOTS"] ?? "";
/** Names of the files. */
const taken = new Set<string>();
/** Of some 200 pictures, also on a busy machine. */
const takes = { timeout: 25 * 60_000 };
const themes = ["light", "dark"] as const;

interface Shot {
  readonly name: string;
  readonly path: string;
  /** Seen once the page shows what it has. */
  readonly ready: string;
  /** What is done before the picture. */
  readonly act?: (page: Page) => Promise<unknown>;
}

beforeAll(async () => {
  await mkdir(folder, { recursive: true });
  await buildSite(docsDir);
}, 120_000);
afterAll(() => rm(docsDir, { recursive: true, force: true }));

/** Pictures of pages that are no more, once all others are taken. */
async function removeOthers(): Promise<void> {
  for (const file of await readdir(folder)) if (!taken.has(file)) await rm(path.join(folder, file));
}

test("where nothing is yet", takes, async () => {
  await tests.server.ask("mutation ($id: ID!) { deleteBaseModel(id: $id) }", {
    id: globalId("BaseModel", tests.server.model.id),
  });
  await takeAll({ key: "", now: new Date() }, [
    { name: "empty-runs", path: "/", ready: "h1" },
    { name: "empty-datasets", path: "/datasets", ready: "text=There are no datasets yet." },
    { name: "empty-models", path: "/models", ready: "h1" },
    { name: "empty-sweeps", path: "/sweeps", ready: "h1" },
    { name: "empty-compare", path: "/compare", ready: "text=Choose two" },
    { name: "empty-playground", path: "/playground", ready: "h1" },
    { name: "empty-keys", path: "/operate/keys", ready: "text=This service has no keys" },
    { name: "empty-workers", path: "/operate/workers", ready: "text=No worker is running" },
  ]);
});

test("everything", takes, async () => {
  const story = await tellStory(tests.server);
  try {
    const key = await tellOfOperation(tests.server);
    const now = await setTimes(tests.server);
    await takeAll({ key, now }, shotsOf(story));
    await takeAll({ key: "", now }, [{ name: "sign-in", path: "/", ready: "dialog[open]" }]);
    if (wanted === "") await removeOthers();
  } finally {
    await story.stop();
  }
});

function shotsOf({ runs, dataset, sweep, lane }: Story): readonly Shot[] {
  const run = (id: string) => `/fine-tunes/${encodeURIComponent(id)}`;
  return [
    { name: "runs", path: "/", ready: "text=reviews, LoRA 8" },
    { name: "run-queued", path: run(runs.queued), ready: "h1" },
    { name: "run-running", path: run(runs.running), ready: ".u-over" },
    { name: "run-paused", path: run(runs.paused), ready: ".u-over" },
    { name: "run-succeeded", path: run(runs.best), ready: ".u-over" },
    { name: "run-failed", path: run(runs.failed), ready: ".u-over" },
    { name: "run-diverged", path: run(runs.diverged), ready: ".u-over" },
    {
      name: "compare",
      path: `/compare?runs=${encodeURIComponent(runs.best)},${encodeURIComponent(runs.other)}`,
      ready: ".u-over",
    },
    { name: "sweeps", path: "/sweeps", ready: "text=rates and ranks" },
    { name: "sweep", path: `/sweeps/${encodeURIComponent(sweep)}`, ready: ".run-line" },
    { name: "new-sweep", path: `/sweeps/new?from=${encodeURIComponent(runs.best)}`, ready: "text=What varies" },
    { name: "new-data", path: "/new", ready: "h1" },
    { name: "new-model", path: "/new", ready: "h1", act: chooseRows },
    {
      name: "new-settings",
      path: "/new",
      ready: "h1",
      act: async (page) => {
        await chooseRows(page);
        await page.getByRole("radio", { name: small }).check();
        await page.getByRole("button", { name: "Next: the settings" }).click();
        await page.getByText("Passes and tokens are not exact").waitFor();
        await page.getByLabel("Name of the run").scrollIntoViewIfNeeded();
      },
    },
    { name: "datasets", path: "/datasets", ready: "text=support tickets" },
    { name: "dataset", path: `/datasets/${encodeURIComponent(dataset)}?model=SmolLM2-135M`, ready: ".tokens" },
    { name: "models", path: "/models", ready: "text=SmolLM2-135M" },
    { name: "model", path: "/models/SmolLM2-135M", ready: "h1" },
    {
      name: "playground",
      path: `/playground?models=${small},reviews-live`,
      ready: "h1",
      act: async (page) => {
        lane.always(({ checkpointId }) => ({
          texts: checkpointId === null ? [" the best", " day of", " all"] : [" terrible"],
        }));
        await page.getByLabel("Text", { exact: true }).fill("The shower was dirty and the towels smelled. It was");
        await page.getByRole("button", { name: "Send", exact: true }).click();
        await page.getByText("ended by itself").nth(1).waitFor();
      },
    },
    { name: "keys", path: "/operate/keys", ready: "text=nightly training" },
    { name: "projects", path: "/operate/projects", ready: "text=search team" },
    { name: "usage", path: "/operate/usage", ready: "role=img" },
    { name: "workers", path: "/operate/workers", ready: "text=gpu-01" },
    { name: "webhooks", path: "/operate/webhooks", ready: "text=chat.example.com" },
    {
      name: "webhook",
      path: `/operate/webhooks/${encodeURIComponent(Buffer.from("Webhook:00000000-0000-4000-8000-000000000002").toString("base64"))}`,
      ready: "text=fine_tune.failed",
    },
    { name: "audit", path: "/operate/audit", ready: "table" },
    { name: "docs", path: "/docs/", ready: "h1" },
  ];
}

/** The first step of a new run. */
async function chooseRows(page: Page): Promise<void> {
  await page.getByLabel("Stored rows", { exact: true }).check();
  await page.getByRole("radio", { name: /^film reviews \d/u }).check();
  await page.getByRole("button", { name: "Next: the model" }).click();
}

async function takeAll({ key, now }: { key: string; now: Date }, shots: readonly Shot[]): Promise<void> {
  for (const colorScheme of themes) {
    const page = await tests.newPage({ colorScheme, reducedMotion: "reduce" });
    await freezeTime(page, now);
    await page.addInitScript((token) => {
      localStorage.setItem("steplog-token", token);
      sessionStorage.clear();
    }, key);
    for (const shot of shots.filter(({ name }) => wanted === "" || wanted.split(",").includes(name)))
      await take(page, shot, colorScheme);
    await page.context().close();
  }
}

async function take(page: Page, { name, path: at, ready, act }: Shot, theme: string): Promise<void> {
  await page.setViewportSize(screens[1]);
  page.setDefaultTimeout(60_000);
  await page.goto(`${tests.server.url}${at}`);
  await page.locator(ready).first().waitFor();
  await act?.(page);
  await page.evaluate(writeOver);
  for (const { width, height } of screens) {
    await page.setViewportSize({ width, height });
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    await page.waitForTimeout(250);
    const png = await page.screenshot({ animations: "disabled", caret: "hide" });
    const file = `${name}-${width}-${theme}.png`;
    await writeFile(path.join(folder, file), withPalette(png));
    taken.add(file);
  }
}

/** What differs each time, and how it is written; runs in the page. */
function writeOver(): void {
  const steady = [
    [/seed \d+$/u, "seed 7"],
    [/first token after [\d.]+ s/u, "first token after 0.31 s"],
    [/^resets in \d+ s$/u, "resets in 60 s"],
    [/^\d+ of 6,000 in 60 s$/u, "50 of 6,000 in 60 s"],
    [/^starts again at 0 on .*$/u, "starts again at 0 on Apr 1, 2026, 12:00:00 AM"],
  ] as const;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode())
    node.textContent = steady.reduce((text, [from, to]) => text.replace(from, to), node.textContent ?? "");
}
