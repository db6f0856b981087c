/** The page in a real browser, with a real server and store; the tests act as the worker through the store. */
import { mkdir, readFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parquetWriteBuffer } from "hyparquet-writer";
import type { Browser, Page } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, beforeEach, describe, expect, test, type TestContext } from "vitest";
import type { RunningServer } from "../../server/server.ts";
import { createFineTune, FakeWorker, globalId, rowId, rows, testServer, type TestServer } from "../server/harness.ts";
import { missing, openBrowser } from "./browser.ts";

const dashboard = fileURLToPath(new URL("../../dashboard/", import.meta.url));
/** Folder for screenshots of every page, if set. */
const shots = process.env["STEPLOG_SCREENSHOTS"];

let server: TestServer;
let restarted: RunningServer | undefined;
let browser: Browser;
let page: Page;
/** Errors in the page's console, and requests to other hosts. */
const complaints: string[] = [];

function needBrowser(context: TestContext): void {
  if (missing !== null && process.env["CI"] !== "true") context.skip(missing);
}

beforeAll(async () => {
  if (missing !== null && process.env["CI"] !== "true") return;
  browser = await openBrowser();
  await build({ configFile: `${dashboard}vite.config.ts`, logLevel: "warn" });
  server = await testServer({ dashboardDir: `${dashboard}dist` });
}, 60_000);

afterAll(async () => {
  await browser?.close();
  await restarted?.close();
  await server?.dispose();
});

beforeEach(async (context) => {
  needBrowser(context);
  await page?.context().close();
  page = await newPage();
});

async function newPage(options: { width?: number; colorScheme?: "dark" | "light" } = {}): Promise<Page> {
  const { width = 1200, colorScheme = "light" } = options;
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
  const opened = await context.newPage();
  // Shorter than a test's timeout, so that the error names what was missing.
  opened.setDefaultTimeout(10_000);
  complaints.length = 0;
  opened.on("pageerror", (error) => complaints.push(String(error)));
  opened.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    if (origin !== server.url && protocol !== "data:" && protocol !== "blob:")
      complaints.push(`asked ${request.url()}`);
  });
  return opened;
}

const runUrl = (id: string) => `${server.url}/fine-tunes/${encodeURIComponent(id)}`;

async function shoot(name: string, of: Page = page): Promise<void> {
  if (!shots) return;
  await mkdir(shots, { recursive: true });
  await of.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
}

/** The content of the chart: its last step, and how many steps it shows. */
async function chart(of: Page = page): Promise<[number, number]> {
  const box = of.getByRole("img", { name: "Loss chart" });
  return [Number(await box.getAttribute("data-last-step")), Number(await box.getAttribute("data-steps"))];
}

/** A run claimed by a fake worker. Every test ends its run, so that the next claim gets the next one. */
async function training(hyperparameters: object): Promise<[string, FakeWorker]> {
  const id = await createFineTune(server, hyperparameters);
  return [id, await FakeWorker.claim(server.store)];
}

describe("the page of a run", () => {
  test("follows a run live until it ends", async () => {
    const [id, worker] = await training({ steps: 600 });
    await worker.train(5);
    await page.goto(runUrl(id));
    await expect.poll(() => chart()).toEqual([5, 5]);
    await page.getByText("Live", { exact: true }).waitFor();
    await worker.store.recordEvaluation(worker.job, { entries: 0, step: 0, rows: 40, loss: 2.1, accuracy: 0.525 });
    for (let batch = 0; batch < 20; batch += 1) await worker.train(25);
    await expect.poll(() => chart()).toEqual([505, 505]);
    await shoot("running");
    await worker.train(95);
    await worker.store.recordEvaluation(worker.job, { entries: 600, step: 600, rows: 40, loss: 1.2, accuracy: 0.925 });
    await worker.checkpoint();
    await worker.succeed();
    await page.locator(".status", { hasText: "Succeeded" }).waitFor();
    await expect.poll(() => chart()).toEqual([600, 600]);
    await page.locator(".figures").getByText("92.5%").waitFor();
    await page.getByRole("row", { name: /^Best 600 92\.5%/u }).waitFor();
    await page.getByText("from 52.5%").waitFor();
    // Each series has a value in the legend at every step, also between evaluations and at the one before the first step.
    for (const part of [0, 0.5, 1]) {
      const { x, y, width } = (await page.locator(".u-over").boundingBox()) ?? { x: 0, y: 0, width: 0 };
      await page.mouse.move(x + 1 + part * (width - 2), y + 20);
      await expect.poll(() => page.locator(".u-legend .u-value").allTextContents()).not.toContain("–");
    }
    const link = page.getByRole("link", { name: /^Download .*600\.steplog$/u });
    const [download] = await Promise.all([page.waitForEvent("download"), link.click()]);
    expect(download.suggestedFilename()).toMatch(/\.steplog$/u);
    expect(await download.failure()).toBeNull();
    await shoot("succeeded");
    expect(complaints).toEqual([]);
  });

  test("misses and repeats no step when the server restarts", async () => {
    const [id, worker] = await training({ steps: 100 });
    await worker.train(10);
    await page.goto(runUrl(id));
    await expect.poll(() => chart()).toEqual([10, 10]);
    await page.getByText("Live", { exact: true }).waitFor();
    await server.close();
    await page.getByText("Reconnecting…").waitFor();
    await worker.train(30);
    restarted = await server.another({ port: Number(new URL(server.url).port) });
    await page.getByText("Live", { exact: true }).waitFor({ timeout: 15_000 });
    await expect.poll(() => chart(), { timeout: 15_000 }).toEqual([40, 40]);
    await worker.train(60);
    await worker.succeed();
    await page.locator(".status", { hasText: "Succeeded" }).waitFor();
    await expect.poll(() => chart()).toEqual([100, 100]);
    const events = page.getByRole("listitem").filter({ hasText: /./u });
    expect(await events.count()).toBe(
      (await server.store.fineTunes.events(worker.job.subject, { after: 0, limit: 100 })).length,
    );
  });

  test("cancels a run and shows it", async () => {
    const [id, worker] = await training({ steps: 100 });
    await worker.train(3);
    await page.goto(runUrl(id));
    await page.getByRole("button", { name: "Cancel run" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel run" }).click();
    await page.getByText("Stopping").waitFor();
    expect(await worker.store.renewLease(worker.job, 60_000)).toEqual({ wanted: "CANCEL" });
    await worker.store.finishFineTune(worker.job, { status: "CANCELLED" });
    await page.locator(".status", { hasText: "Cancelled" }).waitFor();
    expect(await page.getByRole("button", { name: "Cancel run" }).count()).toBe(0);
  });

  test("offers weights in several files one by one", async () => {
    const [id, worker] = await training({ steps: 10 });
    await worker.train(10);
    const names = [
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
      "model.safetensors.index.json",
    ];
    const weightsFiles = [];
    for (const name of names) weightsFiles.push({ name, ...(await server.store.blobs.put(Readable.from([name]))) });
    const checkpoint = { entries: 10, step: 10, chain: worker.chain, weightsDigest: "ab".repeat(32), weightsFiles };
    await server.store.recordCheckpoint(worker.job, checkpoint);
    await worker.succeed();
    await page.goto(runUrl(id));
    await page.getByText("3 files").click();
    const link = page.getByRole("link", { name: `Download ${names[1]}` });
    const [download] = await Promise.all([page.waitForEvent("download"), link.click()]);
    expect(download.suggestedFilename()).toBe(names[1]);
    expect(await readFile(await download.path(), "utf8")).toBe(names[1]);
    await shoot("shards");
    expect(complaints).toEqual([]);
  });

  test("forks a checkpoint with other data and settings, and shows errors in them", async () => {
    const [id, worker] = await training({ steps: 10, batchSize: 2 });
    await worker.train(10);
    await worker.checkpoint();
    await worker.succeed();
    await server.ask("mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { id } }", {
      input: { name: "other rows", jsonl: rows(7) },
    });
    await page.goto(runUrl(id));
    await page.getByRole("button", { name: "Fork from step 10", exact: true }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Training dataset").selectOption({ label: "other rows (7 rows)" });
    await dialog.getByLabel("Name of the fork").fill("forked");
    await dialog.getByLabel("Learning rate (number or AUTO)").fill("11");
    await dialog.getByRole("button", { name: "Start fork" }).click();
    const rate = dialog.getByLabel("Learning rate (number or AUTO)");
    expect(await rate.evaluate(whenWrong)).toMatch(/^must be a number above 0 and up to 10, or AUTO; it is 11 /u);
    await dialog.getByLabel("Learning rate (number or AUTO)").fill("1e-3");
    await dialog.getByLabel("Steps", { exact: true }).fill("30");
    await shoot("fork");
    await dialog.getByLabel("Steps", { exact: true }).fill("40");
    await dialog.getByRole("button", { name: "Start fork" }).click();
    await page.getByRole("heading", { name: "forked" }).waitFor();
    const forked = decodeURIComponent(new URL(page.url()).pathname.split("/").at(-1) ?? "");
    const { fineTune } = await server.ask<{ fineTune: object }>(
      `query ($id: ID!) { fineTune(id: $id) {
        from { entries } dataset { name } hyperparameters { steps batchSize learningRate }
      } }`,
      { id: forked },
    );
    expect(fineTune).toEqual({
      from: { entries: 10 },
      dataset: { name: "other rows" },
      hyperparameters: { steps: 40, batchSize: 2, learningRate: 1e-3 },
    });
    await server.store.fineTunes.cancel(rowId(forked));
    expect(complaints).toEqual([]);
  });

  test("shows why a run failed", async () => {
    const [id, worker] = await training({ steps: 100 });
    const issues = [{ line: 7, message: "is longer than the context" }];
    await worker.store.finishFineTune(worker.job, {
      status: "FAILED",
      code: "LOSS_NOT_FINITE",
      message: "Three steps in a row.",
      issues,
    });
    await page.goto(runUrl(id));
    await page.getByRole("alert").getByText("LOSS_NOT_FINITE").waitFor();
    await page.getByText("Line 7", { exact: true }).waitFor();
  });

  test("shows an error for an unknown run", async () => {
    await page.goto(runUrl(globalId("FineTune", "00000000-0000-4000-8000-000000000000")));
    await page.getByRole("alert").getByText("NOT_FOUND").waitFor();
  });
});

/** The text that describes a field to a screen reader; runs in the page. */
function descriptionOf(field: Element): string | undefined {
  const id = field.getAttribute("aria-describedby") ?? "";
  return field.ownerDocument.getElementById(id)?.textContent.trim();
}

/** What a field that is wrong says of itself to a screen reader, once it has the focus; runs in the page. */
async function whenWrong(field: Element): Promise<string> {
  const document = field.ownerDocument;
  const isWrong = () => document.activeElement === field && field.getAttribute("aria-invalid") === "true";
  while (!isWrong()) await new Promise((resolve) => setTimeout(resolve, 20));
  const ids = (field.getAttribute("aria-describedby") ?? "").split(" ");
  return ids.map((id) => document.getElementById(id)?.textContent.trim()).join(" ");
}

describe("the form", () => {
  test("shows the lines of bad JSONL, then stores good rows and starts a run", async () => {
    await page.goto(`${server.url}/new`);
    await page.getByLabel("Dataset name").fill("reviews");
    await page
      .getByLabel("Rows", { exact: true })
      .fill('{"prompt": "Good film. It was", "completion": " great"}\n{"prompt": "no completion"}\nnot JSON');
    await page.getByRole("button", { name: "Check and store" }).click();
    const problem = page.getByRole("alert");
    await problem.getByText("DATASET_INVALID").waitFor();
    await problem.getByText("Line 2", { exact: true }).waitFor();
    await problem.getByText("Line 3", { exact: true }).waitFor();
    await shoot("bad-rows");

    // Even if the server is slow to list datasets, a stored dataset can be selected.
    await page.route("**/graphql", async (route) => {
      await delay(1_000);
      await route.continue();
    });
    await page
      .getByLabel("Or a file")
      .setInputFiles({ name: "reviews.jsonl", mimeType: "application/jsonl", buffer: Buffer.from(rows(4)) });
    await page.getByRole("button", { name: "Check and store" }).click();
    await page.getByText("Stored “reviews”: 4 rows.").waitFor();
    await page.getByLabel("Name", { exact: true }).fill("from the page");
    await page.getByText("Hyperparameters").click();
    expect(await page.getByLabel("Noise").inputValue()).toBe("RADEMACHER");
    // The field shows its help and knows its range; what settings need of each other, the server says.
    const batchSize = page.getByLabel("Batch size");
    expect(await batchSize.evaluate(descriptionOf)).toBe("Rows measured in one pass.");
    await batchSize.fill("100000");
    await page.getByRole("button", { name: "Create fine-tune" }).click();
    expect(await page.locator("input:invalid").getAttribute("name")).toBe("batchSize");
    await batchSize.fill("2");
    await page.getByLabel("Objective").selectOption({ label: "F1 of generated answers" });
    await page.getByRole("button", { name: "Create fine-tune" }).click();
    const answers = page.getByLabel("Maximum answer length (tokens)");
    expect(await answers.evaluate(whenWrong)).toMatch(/^must be at least 1 with objective F1; it is 0 /u);
    await page.getByRole("alert").getByText("See the marked fields.").waitFor();
    await shoot("bad-settings");
    await page.getByLabel("Objective").selectOption({ label: "Loss of the completion" });
    await page.getByRole("button", { name: "Create fine-tune" }).click();
    await page.getByRole("heading", { name: "from the page" }).waitFor();
    await page.locator(".status", { hasText: "Queued" }).waitFor();
    await page.getByRole("button", { name: "Cancel run" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel run" }).click();
    await page.locator(".status", { hasText: "Cancelled" }).waitFor();
    expect(complaints).toEqual([]);
  });

  test("accepts published rows in parquet, and trains a prefix on them", async () => {
    const buffer = Buffer.from(
      parquetWriteBuffer({
        columnData: [
          { name: "sentence", data: ["stale soup", "fine tea", "dull film"], type: "STRING" },
          { name: "label", data: [0n, 1n, 0n], type: "INT64" },
        ],
      }),
    );
    await page.goto(`${server.url}/new`);
    await page.getByLabel("Or a file").setInputFiles({ name: "sst2.parquet", mimeType: "", buffer });
    expect(await page.getByLabel("Dataset name").inputValue()).toBe("sst2");
    await page.getByRole("button", { name: "Check and store" }).click();
    await page.getByRole("alert").getByText("Line 3", { exact: true }).first().waitFor();
    await page.getByLabel("Format of the rows").selectOption({ label: "SST2 as published: sentence, label" });
    await page.getByRole("button", { name: "Check and store" }).click();
    await page.getByText("Stored “sst2”: 3 rows.").waitFor();
    await page.getByLabel("Name", { exact: true }).fill("a prefix");
    await page.getByText("Hyperparameters").click();
    await page.getByLabel("Method").selectOption({ label: "Prefix" });
    expect(await page.getByLabel("Epsilon").getAttribute("placeholder")).toBe("0.1");
    await shoot("prefix");
    // A rate that is not a number is not sent: as JSON it would be null.
    await page.getByLabel("Learning rate (number or AUTO)").fill("fast");
    await page.getByRole("button", { name: "Create fine-tune" }).click();
    expect(await page.locator("input:invalid").getAttribute("name")).toBe("learningRate");
    await page.getByLabel("Learning rate (number or AUTO)").fill("1e-2");
    await page.getByLabel("Prefix length (tokens)").fill("3");
    await page.getByRole("button", { name: "Create fine-tune" }).click();
    await page.getByRole("heading", { name: "a prefix" }).waitFor();
    const setting = (label: string) => page.locator(".pairs div", { has: page.getByText(label, { exact: true }) });
    expect(await setting("Prefix length (tokens)").locator("dd").textContent()).toBe("3");
    expect(await setting("Method").locator("dd").textContent()).toBe("Prefix");
    expect(complaints).toEqual([]);
  });
});

describe("models of the models folder", () => {
  test("can be registered from the form, then selected", async () => {
    const sizes = { family: "opt", dtype: "BF16", parameters: 5e9, bytes: 1e10, contextLength: 2048 };
    const { foundModels, baseModels } = server.store;
    await foundModels.report("w", [
      { name: "later", ...sizes },
      { name: "damaged", problem: "MODEL_INVALID: it is truncated" },
    ]);
    await page.goto(`${server.url}/new`);
    const row = (name: string) => page.getByRole("row").filter({ hasText: name });
    await row("damaged").getByText("it is truncated").waitFor();
    expect(await row("damaged").getByRole("button").count()).toBe(0);
    await row("later").getByRole("button", { name: "Register" }).click();
    await row("later").getByRole("button", { name: "Registering…" }).waitFor();
    expect(await foundModels.claimRegistration({ worker: "w", leaseMs: 60_000, names: ["later"] })).toBe("later");
    await foundModels.failRegistration("later", "w", "INTERNAL: the disk is on fire");
    await row("later").getByText("the disk is on fire").waitFor();
    await row("later").getByRole("button", { name: "Register" }).click();
    await row("later").getByRole("button", { name: "Registering…" }).waitFor();
    await shoot("found-models");
    await baseModels.register({ name: "later", ...sizes, hash: "ab".repeat(32) });
    await page
      .getByLabel("Base model")
      .getByRole("option", { name: /^later/u })
      .waitFor({ state: "attached" });
    await foundModels.report("w", []);
    await page.reload();
    await page.getByLabel("Base model").waitFor();
    expect(await page.getByText("Found in the models folder").count()).toBe(0);
    expect(complaints).toEqual([]);
  });
});

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

describe("the list", () => {
  test("shows runs by name and status, and opens one by keyboard", async () => {
    const { id } = await server.store.fineTunes.cancel(rowId(await createFineTune(server)));
    await page.goto(server.url);
    const row = page.getByRole("row").filter({ hasText: "Cancelled" }).first();
    await row.getByRole("progressbar", { name: "Steps of run" }).waitFor();
    await shoot("list");
    await row.getByRole("link", { name: "run" }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "run", exact: true }).waitFor();
    expect(decodeURIComponent(new URL(page.url()).pathname)).toBe(`/fine-tunes/${globalId("FineTune", id)}`);
    expect(complaints).toEqual([]);
  });

  test.each(["light", "dark"] as const)("fits every screen and breaks no word or number, %s", async (colorScheme) => {
    const narrow = await newPage({ width: 360, colorScheme });
    const long = await createFineTune(server, { steps: 12_345 }, `${"long name ".repeat(9)}${"x".repeat(100)}`);
    const run = (await server.store.fineTunes.list({ limit: 100 })).find(({ status }) => status === "SUCCEEDED");
    const id = globalId("FineTune", run?.id ?? "");
    for (const [name, url] of Object.entries({ list: server.url, form: `${server.url}/new`, run: runUrl(id) })) {
      await narrow.goto(url);
      await narrow.locator("h1").waitFor();
      await narrow.waitForLoadState("networkidle", { timeout: 2_000 }).catch(() => undefined);
      for (const width of [1280, 780, 390, 360]) {
        await narrow.setViewportSize({ width, height: 900 });
        // Charts follow a frame later.
        const needed = () => narrow.evaluate(() => document.documentElement.scrollWidth);
        await expect.poll(needed, { message: `${name} is wider than the screen` }).toBeLessThanOrEqual(width);
        expect(await narrow.evaluate(brokenWords), `${name} at ${width} pixels`).toEqual([]);
      }
      await shoot(`narrow-${colorScheme}-${name}`, narrow);
    }
    await server.store.fineTunes.cancel(rowId(long));
    expect(complaints).toEqual([]);
    await narrow.context().close();
  });
});
