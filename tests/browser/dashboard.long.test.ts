/** The pages of a run and of the runs, in a real browser. */
import { readFile } from "node:fs/promises";
import { Readable } from "node:stream";
import type { Page } from "playwright-core";
import { afterAll, describe, expect, test } from "vitest";
import type { RunningServer } from "../../server/server.ts";
import { createFineTune, globalId, rowId, rows } from "../server/harness.ts";
import { expectToFit, pageTests } from "./harness.ts";

const tests = pageTests();
const { shoot, newPage, training, complaints } = tests;
let restarted: RunningServer | undefined;
afterAll(() => restarted?.close());

const runUrl = (id: string) => `${tests.server.url}/fine-tunes/${encodeURIComponent(id)}`;

/** The content of the chart: its last step, and how many steps it shows. */
async function chart(of: Page = tests.page): Promise<[number, number]> {
  const box = of.locator(".charts");
  return [Number(await box.getAttribute("data-last-step")), Number(await box.getAttribute("data-steps"))];
}

async function cancelRun(): Promise<void> {
  const { page } = tests;
  await page.getByRole("button", { name: /^More actions/u }).click();
  await page.getByRole("button", { name: "Cancel run" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel run" }).click();
}

describe("the page of a run", () => {
  test("follows a run live until it ends", async () => {
    const [id, worker] = await training({ steps: 600 });
    await worker.train(5);
    await tests.page.goto(runUrl(id));
    await expect.poll(() => chart()).toEqual([5, 5]);
    await tests.page.getByText("Live", { exact: true }).waitFor();
    await worker.store.recordEvaluation(worker.job, { entries: 0, step: 0, rows: 40, loss: 2.1, accuracy: 0.525 });
    for (let batch = 0; batch < 20; batch += 1) await worker.train(25);
    await expect.poll(() => chart()).toEqual([505, 505]);
    await shoot("running");
    await worker.train(95);
    await worker.store.recordEvaluation(worker.job, { entries: 600, step: 600, rows: 40, loss: 1.2, accuracy: 0.925 });
    await worker.checkpoint();
    await worker.succeed();
    await tests.page.locator(".status", { hasText: "Succeeded" }).waitFor();
    await expect.poll(() => chart()).toEqual([600, 600]);
    await tests.page.getByText("Best accuracy: 92.5% at step 600 (52.5% before training).", { exact: false }).waitFor();
    await tests.page.getByRole("row", { name: /^600 ?best 92\.5%/u }).waitFor();
    // Each series has a value in the legend at every step, also between evaluations and at the one before the first step.
    // Charts out of sight stay as they were.
    const usual = tests.page.viewportSize();
    await tests.page.setViewportSize({ width: 1_280, height: 2_000 });
    for (const part of [0, 0.5, 1]) {
      const { x, y, width } = (await tests.page.locator(".u-over").first().boundingBox()) ?? { x: 0, y: 0, width: 0 };
      await tests.page.mouse.move(x + 1 + part * (width - 2), y + 20);
      await expect.poll(() => tests.page.locator(".u-legend .u-value").allTextContents()).not.toContain("–");
    }
    if (usual) await tests.page.setViewportSize(usual);
    const link = tests.page.getByRole("link", { name: "Download run-600.steplog" });
    const [download] = await Promise.all([tests.page.waitForEvent("download"), link.click()]);
    expect(download.suggestedFilename()).toMatch(/\.steplog$/u);
    expect(await download.failure()).toBeNull();
    await shoot("succeeded");
    expect(complaints).toEqual([]);
  });

  test("misses and repeats no step when the server restarts", async () => {
    const [id, worker] = await training({ steps: 100 });
    await worker.train(10);
    await tests.page.goto(runUrl(id));
    await expect.poll(() => chart()).toEqual([10, 10]);
    await tests.page.getByText("Live", { exact: true }).waitFor();
    await tests.server.close();
    await tests.page.getByText("Reconnecting…").waitFor();
    await worker.train(30);
    restarted = await tests.server.another({ port: Number(new URL(tests.server.url).port) });
    await tests.page.getByText("Live", { exact: true }).waitFor();
    await expect.poll(() => chart()).toEqual([40, 40]);
    await worker.train(60);
    await worker.succeed();
    await tests.page.locator(".status", { hasText: "Succeeded" }).waitFor();
    await expect.poll(() => chart()).toEqual([100, 100]);
    const events = tests.page.getByRole("listitem").filter({ hasText: /./u });
    await expect
      .poll(() => events.count())
      .toBe((await tests.server.store.fineTunes.events(worker.job.subject, { after: 0, limit: 100 })).length);
  });

  test("cancels a run and shows it", async () => {
    const [id, worker] = await training({ steps: 100 });
    await worker.train(3);
    await tests.page.goto(runUrl(id));
    await cancelRun();
    await tests.page.getByText("Stopping").waitFor();
    expect(await worker.store.renewLease(worker.job, 60_000)).toEqual({ wanted: "CANCEL" });
    await worker.store.finishFineTune(worker.job, { status: "CANCELLED" });
    await tests.page.locator(".status", { hasText: "Cancelled" }).waitFor();
    await tests.page.getByRole("button", { name: /^More actions/u }).click();
    await tests.page.getByRole("button", { name: "Copy id" }).waitFor();
    await expect.poll(() => tests.page.getByRole("button", { name: "Cancel run" }).count()).toBe(0);
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
    for (const name of names)
      weightsFiles.push({ name, ...(await tests.server.store.blobs.put(Readable.from([name]))) });
    const checkpoint = { entries: 10, step: 10, chain: worker.chain, weightsDigest: "ab".repeat(32), weightsFiles };
    await tests.server.store.recordCheckpoint(worker.job, checkpoint);
    await worker.succeed();
    await tests.page.goto(runUrl(id));
    await tests.page.getByText("3 files").click();
    const link = tests.page.getByRole("link", { name: `Download ${names[1]}` });
    const [download] = await Promise.all([tests.page.waitForEvent("download"), link.click()]);
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
    await tests.server.ask("mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { id } }", {
      input: { name: "other rows", jsonl: rows(7) },
    });
    await tests.page.goto(runUrl(id));
    await tests.page.getByRole("button", { name: "Actions of step 10", exact: true }).click();
    await tests.page.getByRole("button", { name: "Fork", exact: true }).click();
    const dialog = tests.page.getByRole("dialog");
    await dialog.getByLabel("Training dataset").selectOption({ label: "other rows (7 rows)" });
    await dialog.getByLabel("Name of the fork").fill("forked");
    await dialog.getByLabel("Learning rate (number or AUTO)").fill("11");
    await dialog.getByRole("button", { name: "Start fork" }).click();
    const rate = dialog.getByLabel("Learning rate (number or AUTO)");
    await expect
      .poll(() => rate.evaluate(whenWrong))
      .toMatch(/^must be a number above 0 and up to 10, or AUTO; it is 11 /u);
    await dialog.getByLabel("Learning rate (number or AUTO)").fill("1e-3");
    await dialog.getByLabel("Steps", { exact: true }).fill("30");
    await shoot("fork");
    await dialog.getByLabel("Steps", { exact: true }).fill("40");
    await dialog.getByRole("button", { name: "Start fork" }).click();
    await tests.page.getByRole("heading", { name: "forked" }).waitFor();
    const forked = decodeURIComponent(new URL(tests.page.url()).pathname.split("/").at(-1) ?? "");
    const { fineTune } = await tests.server.ask<{ fineTune: object }>(
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
    await tests.server.store.fineTunes.cancel(rowId(forked));
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
    await tests.page.goto(runUrl(id));
    await tests.page.getByRole("alert").getByText("LOSS_NOT_FINITE").waitFor();
    await tests.page.getByText("Line 7", { exact: true }).waitFor();
  });

  test("shows an error for an unknown run", async () => {
    await tests.page.goto(runUrl(globalId("FineTune", "00000000-0000-4000-8000-000000000000")));
    await tests.page.getByRole("alert").getByText("NOT_FOUND").waitFor();
  });
});

/** What a field that is wrong says of itself to a screen reader, once it has the focus; runs in the tests.page. */
async function whenWrong(field: Element): Promise<string> {
  const document = field.ownerDocument;
  const isWrong = () => document.activeElement === field && field.getAttribute("aria-invalid") === "true";
  while (!isWrong()) await new Promise((resolve) => setTimeout(resolve, 20));
  const ids = (field.getAttribute("aria-describedby") ?? "").split(" ");
  return ids.map((id) => document.getElementById(id)?.textContent.trim()).join(" ");
}

describe("the list", () => {
  test.each(["light", "dark"] as const)("fits every screen and breaks no word or number, %s", async (colorScheme) => {
    const narrow = await newPage({ width: 360, colorScheme });
    const long = await createFineTune(tests.server, { steps: 12_345 }, `${"long name ".repeat(9)}${"x".repeat(100)}`);
    const run = (await tests.server.store.fineTunes.list({ limit: 100 })).find(({ status }) => status === "SUCCEEDED");
    const id = globalId("FineTune", run?.id ?? "");
    for (const [name, url] of Object.entries({
      list: tests.server.url,
      run: runUrl(id),
    })) {
      await narrow.goto(url);
      await narrow.locator("h1").waitFor();
      await narrow.waitForLoadState("networkidle", { timeout: 2_000 }).catch(() => undefined);
      await expectToFit(narrow, name);
      await shoot(`narrow-${colorScheme}-${name}`, narrow);
    }
    await tests.server.store.fineTunes.cancel(rowId(long));
    expect(complaints).toEqual([]);
    await narrow.context().close();
  });
});
