/** The parts of a run's page: charts that are looked at closely, and answers before and after tuning. */
import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { claimAny } from "../support/claims.ts";
import { createDataset, createFineTuneMutation, FakeWorker, type CreatedFineTune } from "../server/harness.ts";
import { expectAccessible, expectToFit, pageTests } from "./harness.ts";

const tests = pageTests();

const runUrl = (id: string) => `${tests.server.url}/fine-tunes/${encodeURIComponent(id)}`;

/** A run with validation rows, trained and evaluated. */
async function trained(name: string): Promise<string> {
  const [dataset, validationDataset] = [
    await createDataset(tests.server),
    await createDataset(tests.server, "held back"),
  ];
  const input = {
    name,
    baseModel: "bytes",
    dataset,
    validationDataset,
    labelWords: [" good", " bad"],
    hyperparameters: { steps: 400 },
  };
  const { createFineTune } = await tests.server.ask<CreatedFineTune>(createFineTuneMutation, { input });
  const worker = await FakeWorker.claim(tests.server.store);
  await worker.store.recordEvaluation(worker.job, { entries: 0, step: 0, rows: 40, loss: 2.1, accuracy: 0.5 });
  for (let batch = 0; batch < 8; batch += 1) await worker.train(50);
  await worker.store.recordEvaluation(worker.job, { entries: 400, step: 400, rows: 40, loss: 1.2, accuracy: 0.9 });
  await worker.checkpoint();
  await worker.succeed();
  return createFineTune.fineTune.id;
}

describe("the charts", () => {
  test("zoom together, go back, and are saved", async () => {
    const { page } = tests;
    await page.goto(runUrl(await trained("charted")));
    const plot = page.locator(".u-over").first();
    await plot.waitFor();
    // What is said about the rows comes above the chart.

    await page.locator(".notice", { hasText: "3 rows are training rows too" }).waitFor();
    const box = await plot.boundingBox();
    if (!box) throw new Error("the chart is shown");
    await page.mouse.move(box.x + box.width * 0.25, box.y + 50);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.5, box.y + 60, { steps: 5 });
    const dragged = () =>
      page
        .locator(".u-select")
        .first()
        .evaluate((part) => part.clientWidth);
    await expect.poll(dragged, { timeout: 5_000 }).toBeGreaterThan(50);
    await page.mouse.up();
    await page.getByRole("button", { name: "Show all steps" }).waitFor();
    await page.getByRole("button", { name: "Show all steps" }).click();
    await page.getByLabel("Smoothing").fill("0");
    await page.getByText("none", { exact: true }).waitFor();
    await page.getByLabel("Log scale").check();
    const save = async (name: string) => {
      const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name }).click()]);
      return readFile(await download.path());
    };
    const csv = (await save("Save the numbers of Loss as CSV")).toString();
    const [head, , first] = csv.split("\n");
    expect(head).toBe("step,Each step,Smoothed,Validation,Base model");
    expect(first).toMatch(/^1,1,1,,$/u);
    expect(csv.trim().split("\n")).toHaveLength(402);
    expect((await save("Save the chart Loss as PNG")).subarray(1, 4).toString()).toBe("PNG");
    expect(tests.complaints).toEqual([]);
  });
});

describe("answers before and after", () => {
  test("are asked for by a button, then shown beside each other and filtered", async () => {
    const { page, server } = tests;
    await page.goto(runUrl(await trained("answered")));
    await page.getByRole("button", { name: "Ask both models" }).click();
    await page
      .getByRole("status")
      .filter({ hasText: /worker|answering/u })
      .first()
      .waitFor();
    const measured = { rows: 3, loss: 0.5, accuracy: 1, f1: null, exactMatch: null };
    const rowsOf = (rights: readonly boolean[]) =>
      rights.map((right, row) => ({
        row,
        prompt: `${row} is`,
        expected: " good",
        answer: right ? " good" : " bad",
        right,
        loss: 0.5,
      }));
    for (let answers = 0; answers < 2; answers += 1) {
      const job = await claimAny(server.store);
      if (!job) throw new Error("two evaluations wait");
      const evaluation = await server.store.evaluations.get(job.subject);
      const rows = rowsOf(evaluation?.checkpointId == null ? [true, false, false] : [false, true, false]);
      await server.store.finishEvaluation(job, { status: "SUCCEEDED", measured, rows });
    }
    const table = page.getByRole("table", { name: "Answers before and after" });
    await table.waitFor();
    expect(await table.getByRole("row").count()).toBe(4);
    const show = page.getByLabel("Show", { exact: false }).locator("visible=true").last();
    await show.selectOption({ label: "Better after (1)" });
    await table.getByRole("row", { name: /1 is.*bad wrong.*good right/u }).waitFor();
    expect(await table.getByRole("row").count()).toBe(2);
    await show.selectOption({ label: "Wrong after (2)" });
    await expect.poll(() => table.getByRole("row").count()).toBe(3);
    await tests.shoot("run-answers");
    expect(tests.complaints).toEqual([]);
  });
});

test.each(["light", "dark"] as const)(
  "the page is accessible and fits, with its menu open too, %s",
  async (colorScheme) => {
    const page = await tests.newPage({ colorScheme });
    await page.goto(runUrl(await trained("accessible")));
    await page.locator(".u-over").first().waitFor();
    await expectAccessible(page, "a run");
    await page.getByRole("button", { name: "Actions of step 400" }).click();
    await expectAccessible(page, "actions of a checkpoint");
    await page.keyboard.press("Escape");
    await expectToFit(page, "a run");
    await expectAccessible(page, "a run on a phone");
    await tests.shoot(`run-phone-${colorScheme}`, page);
    await page.context().close();
  },
);
