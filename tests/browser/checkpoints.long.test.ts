/** A long run: its many checkpoints and what is done with them, its charts of merged steps, its settings and its log. */
import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { rateAdvice } from "../../schema/rate-advice.ts";
import { createDataset, rowId, type FakeWorker } from "../server/harness.ts";
import { claimAny } from "../support/claims.ts";
import { expectAccessible, expectToFit, expectToReturn, pageTests } from "./harness.ts";

const tests = pageTests();

const runUrl = (id: string) => `${tests.server.url}/fine-tunes/${encodeURIComponent(id)}`;
const dialog = (name: string | RegExp) => tests.page.getByRole("dialog", { name });
const measured = (step: number, accuracy: number) => ({ entries: step, step, rows: 40, loss: 1.2, accuracy });

const [last, every, best] = [4_400, 200, 400];

/** With more steps than a chart has points, and more checkpoints than a page has; the best is none of the newest. */
async function longRun(): Promise<[string, FakeWorker]> {
  const [id, worker] = await tests.training({ method: "LORA", steps: last }, "long");
  await worker.store.recordEvaluation(worker.job, measured(0, 0.5));
  await worker.store.recordEvaluation(worker.job, { ...measured(0, 0.6), kind: "IN_CONTEXT" });
  await worker.store.recordEvaluation(worker.job, { ...measured(0, 0.7), kind: "LINEAR_PROBE" });
  for (let step = every; step <= last; step += every) {
    await worker.train(every);
    await worker.store.recordEvaluation(worker.job, measured(step, step === best ? 0.9 : 0.8));
    await worker.checkpoint();
  }
  await worker.succeed();
  return [id, worker];
}

const checkpoints = () => tests.page.getByRole("table", { name: "Checkpoints" });

/** Of a checkpoint, in its menu. */
async function choose(step: string, action: string): Promise<void> {
  await tests.page.getByRole("button", { name: `Actions of step ${step}`, exact: true }).click();
  await tests.page.getByRole("button", { name: action, exact: true }).click();
}

/** The job that waits. */
async function claimed() {
  const job = await claimAny(tests.server.store);
  if (!job) throw new Error("a job waits");
  return job;
}

describe("a long run", () => {
  test("shows its baselines as lines, its log, its settings by group, and saves every step", async () => {
    const { page } = tests;
    const [id, worker] = await longRun();
    await page.goto(runUrl(id));
    const accuracy = page.getByRole("img", { name: /^Accuracy of long/u });
    const legend = () => accuracy.locator(".u-series").allTextContents();
    await expect
      .poll(legend)
      .toEqual(["Step4,400", "Validation80%", "Base model50%", "In-context examples60%", "Linear probe70%"]);
    const pairs = page.getByRole("table", { name: "The last pairs of the log" });
    await pairs.getByRole("row", { name: /^4,399 /u }).waitFor();
    await expect.poll(() => pairs.getByRole("row").count()).toBe(6);
    await page.getByText(/ for 4,400 pairs/u).waitFor();
    const hash = Buffer.from(worker.chain).toString("hex");
    await expect.poll(() => page.locator(".hash code").getAttribute("title")).toBe(hash);
    const settings = page.locator("section", { has: page.getByRole("heading", { name: "Settings", exact: true }) });
    const value = (name: string) => settings.locator("dl:visible div", { hasText: name }).first().locator("dd");
    expect([await value("Method").textContent(), await value("Steps").textContent()]).toEqual([
      "LoRA adapter",
      "4,400",
    ]);
    await expect.poll(() => settings.getByText("Seed", { exact: true }).isVisible()).toBe(false);
    await settings.getByText("All settings").click();
    await settings.getByRole("heading", { name: "How far a step goes" }).waitFor();
    await expect.poll(() => settings.getByText("Seed", { exact: true }).isVisible()).toBe(true);

    // Drawn, but not saved, with steps merged.
    await page
      .getByText(/Mean of up to \d steps/u)
      .first()
      .waitFor();
    const button = page.getByRole("button", { name: "Save the numbers of Loss as CSV" });
    const [download] = await Promise.all([page.waitForEvent("download"), button.click()]);
    const [head, start, ...steps] = (await readFile(await download.path(), "utf8")).trim().split("\n");
    expect(head).toBe("step,Each step,Smoothed,Validation,Base model,In-context examples,Linear probe");
    expect(start).toMatch(/^0,,,1.2,1.2,1.2,1.2$/u);
    expect(steps).toHaveLength(last);
    expect(steps[4_321]).toMatch(/^4322,1\.0625,/u);
    expect(tests.complaints).toEqual([]);
  });

  test("lists all checkpoints by page, the best one on top; each can be measured, rebuilt, named, and made in other forms", async () => {
    const { page, server } = tests;
    const { store } = server;
    const [id] = await longRun();
    await createDataset(server, "others");
    await page.goto(runUrl(id));
    const rows = checkpoints().getByRole("row");
    await expect.poll(() => rows.count()).toBe(22);
    await expect.poll(() => rows.nth(1).textContent()).toMatch(/^400best90%/u);
    await expect.poll(() => rows.nth(2).textContent()).toMatch(/^4,400/u);
    await page.getByRole("button", { name: "Older checkpoints" }).click();
    await page.getByText("Steps 400 to 200").waitFor();
    await expect.poll(() => rows.count()).toBe(3);
    await expect.poll(() => page.getByRole("button", { name: "Older checkpoints" }).isDisabled()).toBe(true);

    // Of an older page, to see that it is read again.
    await page.getByRole("button", { name: "Rebuild the weights of step 200" }).click();
    await rows.nth(2).getByRole("status").waitFor();
    await store.finishMaterialise(await claimed(), { error: "INTERNAL: no room on the disk" });
    await rows.nth(2).getByText("no room on the disk").waitFor();

    await choose("200", "Evaluate on a dataset");
    await expectAccessible(page, "evaluating a checkpoint");
    await dialog("Evaluate step 200").getByLabel("Dataset").selectOption({ label: "others (3 rows)" });
    await dialog("Evaluate step 200").getByRole("button", { name: "Evaluate", exact: true }).click();
    const asked = page.getByRole("table", { name: "Evaluations that were asked for" });
    await asked.getByRole("row", { name: /^200 others/u }).waitFor();
    const outcome = { rows: 3, loss: 0.25, accuracy: null, f1: null, exactMatch: null };
    await store.finishEvaluation(await claimed(), { status: "SUCCEEDED", measured: outcome, rows: [] });
    await asked.getByRole("row", { name: /0\.2500 Show 3 rows: step 200 on others done$/u }).waitFor();

    await choose("200", "Weights in other forms");
    const forms = dialog("The weights of step 200 in other forms");
    await forms.getByLabel("Number format").selectOption("float16");
    await forms.getByRole("button", { name: "Make them" }).click();
    await forms.getByRole("status").waitFor();
    await store.finishExport(await claimed(), { error: "INTERNAL: a value is too large for float16" });
    await forms.getByText("with the adapter added, float16: INTERNAL: a value is too large").waitFor();
    await expectAccessible(page, "weights that could not be made");
    await expectToFit(page, "weights that could not be made", [1280, 390]);
    await expectToReturn(page, page.getByRole("button", { name: "Actions of step 200", exact: true }));

    const pointsAt = () => server.ask("{ aliases { name checkpoint { step } } }");
    for (const step of ["400", "200"]) {
      await choose(step, "Give it an alias");
      await dialog(`An alias for step ${step}`).getByLabel("Alias").fill("live");
      await dialog(`An alias for step ${step}`).getByRole("button", { name: "Set alias" }).click();
      await rows.filter({ hasText: new RegExp(`^${step}(?:best)?live`, "u") }).waitFor();
    }
    await choose("200", "Roll back “live”");
    await dialog("Roll “live” back?").getByRole("button", { name: "Roll back" }).click();
    await page.getByText("“live” is the checkpoint of step 400 of “long” again.").waitFor();
    expect(await pointsAt()).toEqual({ aliases: [{ name: "live", checkpoint: { step: 400 } }] });
    await rows.filter({ hasText: /^400bestlive/u }).waitFor();
    await choose("400", "Remove “live”");
    await dialog("Remove the alias “live”?").getByRole("button", { name: "Remove it" }).click();
    await page.getByText("“live” is removed.").waitFor();
    expect(await pointsAt()).toEqual({ aliases: [] });
    await page.getByRole("button", { name: "Newer checkpoints" }).click();
    await expect.poll(() => rows.count()).toBe(22);

    await choose("4,200", "Delete");
    const sure = dialog("Delete the checkpoint of step 4,200?");
    await expectAccessible(page, "deleting a checkpoint");
    await sure.getByRole("button", { name: "Keep it as it is" }).click();
    await choose("4,200", "Delete");
    await sure.getByRole("button", { name: "Delete checkpoint" }).click();
    await expect.poll(() => page.getByRole("button", { name: "Actions of step 4,200", exact: true }).count()).toBe(0);
    const steps = (await store.checkpoints.list(rowId(id), { limit: 100 })).map((one) => one.step);
    expect([steps.length, steps.includes(4_200)]).toEqual([21, false]);
    expect(tests.complaints).toEqual([]);
  });
});

test("a run that diverged is forked where its error says, by the rate that it says; what is wrong is at its field, unfolded", async () => {
  const { page, server } = tests;
  const [id, worker] = await tests.training({ learningRate: 1e-3, steps: 100 }, "wild");
  for (const _ of [20, 40]) {
    await worker.train(20);
    await worker.checkpoint();
  }
  const message = `The run diverged: its loss rose. ${rateAdvice(1e-3, 20)}`;
  await server.store.finishFineTune(worker.job, { status: "FAILED", code: "DIVERGED", message, issues: [] });
  await page.goto(runUrl(id));
  await page.getByRole("button", { name: "Fork step 20 with a third of the rate" }).click();
  const fork = dialog("Fork “wild” at step 20");
  await expect.poll(() => fork.getByLabel("Learning rate (number or AUTO)").inputValue()).toBe("0.00033");
  await fork.getByText("All settings that a fork may change").click();
  await expect.poll(() => fork.getByLabel("Method").count()).toBe(0);
  await fork.getByLabel("Warm-up (steps)").fill("500");
  await fork.getByLabel("Measure a linear probe as a baseline").check();
  await fork.getByLabel("Precision of products").selectOption("BFLOAT16");
  await fork.getByText("All settings that a fork may change").click();
  await fork.getByRole("button", { name: "Start fork" }).click();
  await fork.getByText("The fork was not created").waitFor();
  const wrong = fork.getByLabel("Warm-up (steps)");
  await expect.poll(() => wrong.evaluate((one) => one === document.activeElement)).toBe(true);
  await expectAccessible(page, "a fork that is refused");
  await expectToFit(page, "a fork that is refused", [1280, 390]);
  await wrong.fill("5");
  await fork.getByLabel("Measure a linear probe as a baseline").uncheck();
  await fork.getByRole("button", { name: "Start fork" }).click();
  await page.getByText("0 / 100").waitFor();
  const forked = rowId(decodeURIComponent(new URL(page.url()).pathname.split("/").at(-1) ?? ""));
  const { hyperparameters } = (await server.store.fineTunes.get(forked)) ?? {};
  expect(hyperparameters).toMatchObject({
    learningRate: 0.00033,
    warmupSteps: 5,
    precision: "BFLOAT16",
    epsilon: 1e-3,
  });
  await server.store.fineTunes.cancel(forked);
  expect(tests.complaints).toEqual([]);
});
